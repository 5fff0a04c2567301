//! Reading a text or a log: searching, following, another container or life of it.

use super::event::Effect;
use super::keys::Command;
use super::object::Tab;
use super::{App, Layer};

impl App {
    /// Arriving at the logs begins them.
    pub(super) fn enter_tab(&mut self) -> Vec<Effect> {
        match self.layers.last() {
            Some(Layer::Object(object)) if object.tab == Tab::Logs && object.logs.request.is_none() => {
                self.restart_log()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn restart_log(&mut self) -> Vec<Effect> {
        let (request, now) = (self.request(), self.now);
        match self.layers.last_mut() {
            Some(Layer::Object(object)) => object.follow(request, now),
            _ => Vec::new(),
        }
    }

    pub(super) fn text_command(&mut self, command: Command) -> Vec<Effect> {
        let page = self.page();
        let text = match self.layers.last_mut() {
            Some(Layer::Object(object)) => object.text_mut(),
            Some(Layer::Text(layer)) => &mut layer.text,
            _ => return Vec::new(),
        };
        match command {
            Command::Search => text.searching = true,
            Command::NextMatch => text.seek(true, page),
            Command::PreviousMatch => text.seek(false, page),
            Command::Follow if text.following => text.scroll(0, page),
            Command::Follow => text.following = true,
            Command::Previous | Command::Container => return self.other_log(command),
            _ => {}
        }
        Vec::new()
    }

    fn other_log(&mut self, command: Command) -> Vec<Effect> {
        let Some(Layer::Object(object)) = self.layers.last_mut() else { return Vec::new() };
        let logs = &mut object.logs;
        if command == Command::Previous {
            logs.previous = !logs.previous;
        } else {
            logs.container = (logs.container + 1) % logs.containers.len().max(1);
        }
        self.restart_log()
    }
}
