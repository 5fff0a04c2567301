//! The value of a ConfigMap's key in the person's own editor: which value a step sets, what is in it now, and
//! what came back. The edited text becomes the step's input; the preview follows as always. Values of Secrets
//! never come here: no step that sets them has its value as an input.

use super::event::{Effect, Request};
use super::form::Form;
use super::{App, Layer};
use crate::domain::{Action, Key, Timestamp, Tone};

/// A value on its way to the editor and back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Editing {
    pub request: Request,
    pub since: Timestamp,
    /// Index of the field that gets the text.
    field: usize,
    /// Where the value lives.
    key: String,
    /// As it is now; None until it was read.
    before: Option<String>,
}

/// What stands for the value while nobody has given it: no value that a person would type.
const ANY: &str = "\u{fffd}covet\u{fffd}";

impl App {
    /// The current value in the editor: from a form, or from the step the cursor is on.
    pub(super) fn edit_in_editor(&mut self) -> Vec<Effect> {
        if !self.options.armed {
            self.say(Tone::Bad, "read-only: nothing can be changed in this session");
            return Vec::new();
        }
        let opened = !matches!(self.layers.last(), Some(Layer::Form(_)));
        let mut effects = Vec::new();
        if opened {
            let Some(id) = self.selection.anomaly.clone() else { return Vec::new() };
            let Some(step) = self.dossier().and_then(|dossier| dossier.step()) else { return Vec::new() };
            effects = self.open_form(Form::new(id, step));
        }
        let Some(Layer::Form(form)) = self.layers.last() else { return Vec::new() };
        if form.editing.is_some() {
            return Vec::new();
        }
        match self.value_of(form) {
            Ok((config_map, key, field)) => self.read_value(config_map, key, field),
            Err(why) => {
                if opened && !self.sets_config() {
                    self.layers.pop();
                    self.say(Tone::Dim, "this step sets no value of a ConfigMap");
                } else if let Some(Layer::Form(form)) = self.layers.last_mut() {
                    form.wrong = Some(why);
                }
                effects
            }
        }
    }

    /// Whether the step of the open form sets values of a ConfigMap.
    pub fn sets_config(&self) -> bool {
        let Some(Layer::Form(form)) = self.layers.last() else { return false };
        let playbook = self
            .dossiers
            .get(&form.anomaly)
            .and_then(|dossier| self.options.library.get(&dossier.anomaly.rule));
        playbook
            .and_then(|playbook| playbook.steps.iter().find(|step| step.id == form.step))
            .is_some_and(|step| step.todo.verb.name == "set-config")
    }

    /// Opens a form. Where the key of a ConfigMap is to be given, the keys it has are asked for.
    pub(super) fn open_form(&mut self, form: Form) -> Vec<Effect> {
        let missing = form.fields.iter().filter(|field| field.line.is_empty());
        let mut values = form.values();
        values.extend(missing.map(|field| (field.name.clone(), ANY.to_owned())));
        let asked = match self.bound(&form.anomaly, &form.step, &values) {
            Some(Ok(Action::SetConfig { config_map, data })) if data.iter().any(|(key, _)| key == ANY) => {
                Some(config_map)
            }
            _ => None,
        };
        self.layers.push(Layer::Form(form));
        let request = self.request();
        asked.map(|config_map| Effect::ReadKeys { request, config_map }).into_iter().collect()
    }

    /// The keys of the ConfigMap that the open form is about.
    pub(super) fn keys_read(&mut self, config_map: &Key, keys: &[String]) {
        if let Some(Layer::Form(form)) = self.layers.last_mut() {
            form.hint = Some(match keys {
                [] => format!("ConfigMap {} has no keys", config_map.name),
                keys => format!("ConfigMap {} has {}", config_map.name, keys.join(", ")),
            });
        }
    }

    fn read_value(&mut self, config_map: Key, key: String, field: usize) -> Vec<Effect> {
        let (request, since) = (self.request(), self.now);
        if let Some(Layer::Form(form)) = self.layers.last_mut() {
            form.wrong = None;
            form.at = field;
            form.editing = Some(Editing { request, since, field, key: key.clone(), before: None });
        }
        vec![Effect::ReadValue { request, config_map, key }]
    }

    /// Which ConfigMap and key a form is about, and which of its fields is the value: the one that ends up as
    /// the value when it is given.
    fn value_of(&self, form: &Form) -> Result<(Key, String, usize), String> {
        let mut why = "this step sets no value of a ConfigMap".to_owned();
        for (at, field) in form.fields.iter().enumerate() {
            let mut values = form.values();
            values.insert(field.name.clone(), ANY.to_owned());
            match self.bound(&form.anomaly, &form.step, &values) {
                Some(Ok(Action::SetConfig { config_map, data })) => {
                    if let [(key, Some(value))] = &data[..]
                        && value == ANY
                    {
                        return Ok((config_map, key.clone(), at));
                    }
                }
                Some(Err(missing)) if missing.name != field.name => why = missing.says,
                _ => {}
            }
        }
        Err(why)
    }

    /// The current value came: on to the editor, unless the person left meanwhile.
    pub(super) fn value_read(
        &mut self,
        request: Request,
        value: Result<Option<String>, String>,
    ) -> Vec<Effect> {
        let Some(form) = self.form_editing(request) else { return Vec::new() };
        match value {
            Ok(value) => {
                let text = value.unwrap_or_default();
                let name = form.editing.as_ref().map(|editing| editing.key.clone()).unwrap_or_default();
                if let Some(editing) = &mut form.editing {
                    editing.before = Some(text.clone());
                }
                vec![Effect::Edit { request, name, text }]
            }
            Err(why) => {
                (form.editing, form.wrong) = (None, Some(why));
                Vec::new()
            }
        }
    }

    /// Back from the editor: None when it was left without saying yes.
    pub(super) fn edited(&mut self, request: Request, text: Result<Option<String>, String>) -> Vec<Effect> {
        let Some(form) = self.form_editing(request) else { return Vec::new() };
        let Some(editing) = form.editing.take() else { return Vec::new() };
        let before = editing.before.unwrap_or_default();
        let after = match text {
            Ok(Some(text)) => settled(&before, text),
            Ok(None) => {
                self.layers.pop();
                self.say(Tone::Plain, "left the editor without saving: nothing was changed");
                return Vec::new();
            }
            Err(why) => {
                form.wrong = Some(why);
                return Vec::new();
            }
        };
        if after == before {
            self.layers.pop();
            self.say(Tone::Plain, format!("{} is as it was: nothing was changed", editing.key));
            return Vec::new();
        }
        if let Some(field) = form.fields.get_mut(editing.field) {
            field.edited = Some(after);
        }
        form.at = form.fields.len().saturating_sub(1);
        self.submit()
    }

    fn form_editing(&mut self, request: Request) -> Option<&mut Form> {
        match self.layers.last_mut() {
            Some(Layer::Form(form))
                if form.editing.as_ref().is_some_and(|editing| editing.request == request) =>
            {
                Some(form)
            }
            _ => None,
        }
    }
}

/// Editors end a file with a line break; a value that had none, and a new value of one line, gets none.
fn settled(before: &str, mut after: String) -> String {
    let one_line = before.is_empty() && after.trim_end_matches('\n').lines().count() <= 1;
    if (one_line || !before.is_empty() && !before.ends_with('\n')) && after.ends_with('\n') {
        after.pop();
    }
    after
}

#[cfg(test)]
mod tests {
    use super::settled;

    #[test]
    fn only_the_line_break_of_the_editor_is_taken_away() {
        assert_eq!(settled("5", "6\n".into()), "6");
        assert_eq!(settled("a\nb\n", "a\nc\n".into()), "a\nc\n");
        assert_eq!(settled("a\nb", "a\nb\n".into()), "a\nb");
        assert_eq!(settled("", "new\n".into()), "new");
        assert_eq!(settled("", "two\nlines\n".into()), "two\nlines\n");
        assert_eq!(settled("5", String::new()), "");
        assert_eq!(settled("5", " 5 \n".into()), " 5 ");
    }
}
