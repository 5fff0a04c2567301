//! The list of what is wrong: incidents with their symptoms folded, the worst first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::style::Look;
use super::{fit, frame, sign};
use crate::app::{App, Focus, Place, Row};
use crate::domain::{Anomaly, AnomalyId, Severity, between, text};
use crate::incident;
use crate::playbooks::Plan;

/// Lines of a title under its first; what is longer ends in an ellipsis.
const MORE_LINES: usize = 3;

pub fn draw(app: &App, look: &Look, area: Rect, buffer: &mut Buffer) {
    let focused = app.layers.is_empty() && app.focus == Focus::Anomalies;
    let follows = if app.selection.by_person { "" } else { "following the worst" };
    let title = vec![Span::styled("Anomalies", look.strong)];
    let inside = frame::frame(title, note(app, look, follows), focused, look, area, buffer);
    let cells = usize::from(inside.width);
    let list = list(app, inside);
    if list.height < inside.height {
        fit::put(&filter(app, look, cells), inside, 0, buffer);
    }
    let rows = app.rows();
    if rows.is_empty() && app.filter.is_empty() {
        return fit::put_all(quiet(app, look, cells), list, buffer);
    }
    let (mut lines, owners, first) = compose(app, look, &rows, list, focused);
    let hidden = lines.len().saturating_sub(first + usize::from(list.height));
    if hidden == 0 {
        lines.extend(links(app, look, cells));
    }
    fit::put_all(lines.into_iter().skip(first), list, buffer);
    // How much there is beyond the edges, on the frame, where it covers nothing.
    let beyond = |lines: usize, from: usize| {
        owners.iter().filter(|(at, _)| (from..from.saturating_add(lines)).contains(at)).count()
    };
    let below = beyond(usize::MAX, first + usize::from(list.height));
    frame::more(look, beyond(first, 0), below, area, buffer);
}

/// Where the rows are: below the filter, while there is one.
fn list(app: &App, inside: Rect) -> Rect {
    let taken = u16::from(app.filtering || !app.filter.is_empty()).min(inside.height);
    Rect { y: inside.y + taken, height: inside.height - taken, ..inside }
}

/// What the filter says and what it hides.
fn filter<'a>(app: &App, look: &Look, cells: usize) -> Line<'a> {
    let mut left = vec![Span::styled(" /", look.accent)];
    left.extend(super::form::typed(look, app.filter.text(), app.filtering.then(|| app.filter.cursor())));
    let right = match (app.rows().len(), app.hidden_rows()) {
        (0, 1..) => Span::styled("nothing matches; Esc clears ", look.warn),
        (_, 0) => Span::raw(""),
        (_, hidden) => Span::styled(format!("{hidden} hidden "), look.warn),
    };
    fit::two_ends(left, vec![right], cells)
}

/// The lines of the list, where each anomaly begins, and the first line to show.
fn compose<'a>(
    app: &App,
    look: &Look,
    rows: &[Row],
    list: Rect,
    focused: bool,
) -> (Vec<Line<'a>>, Vec<(usize, AnomalyId)>, usize) {
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut owners = Vec::new();
    let mut chosen = (0, 1);
    for row in rows {
        let selected = app.selection.anomaly.as_ref() == Some(&row.id);
        let entry = entry(app, look, row, selected, focused, usize::from(list.width));
        if selected {
            chosen = (lines.len(), entry.len());
        }
        owners.push((lines.len(), row.id.clone()));
        lines.extend(entry);
    }
    let first = scrolled(chosen, lines.len(), usize::from(list.height));
    (lines, owners, first)
}

/// Lines the whole list needs, with its frame.
pub fn height(app: &App, look: &Look, area: Rect) -> u16 {
    let inside = frame::inside(area);
    let list = list(app, inside);
    let (lines, ..) = compose(app, look, &app.rows(), list, true);
    let links = links(app, look, usize::from(inside.width));
    let taken = usize::from(area.height - list.height);
    u16::try_from(lines.len() + links.len() + taken).unwrap_or(u16::MAX)
}

/// The anomaly at a row of the screen.
pub fn at(app: &App, look: &Look, area: Rect, y: u16) -> Option<AnomalyId> {
    let inside = frame::inside(area);
    let list = list(app, inside);
    let row = usize::from(y.checked_sub(list.y).filter(|row| *row < list.height)?);
    let (lines, owners, first) = compose(app, look, &app.rows(), list, true);
    let line = first + row;
    let owner = owners.into_iter().rev().find(|(begins, _)| *begins <= line)?;
    (line < lines.len()).then_some(owner.1)
}

/// Below the list, where there is room: why one thing is taken for the cause of another.
fn links<'a>(app: &App, look: &Look, cells: usize) -> Vec<Line<'a>> {
    let Some(incident) = app.incident().filter(|incident| !incident.links.is_empty()) else {
        return Vec::new();
    };
    let rule = |id: &crate::domain::AnomalyId| app.verdict.anomaly(id).map(|anomaly| anomaly.rule.clone());
    let mut lines =
        vec![Line::default(), Line::styled(" Why they belong together", look.dim.patch(look.strong))];
    for link in &incident.links {
        let (Some(cause), Some(effect)) = (rule(&link.cause), rule(&link.effect)) else { continue };
        lines.push(fit::cut(
            &Line::from(vec![
                fit::span(format!(" {cause}"), look.text),
                Span::styled(" → ", look.accent),
                fit::span(effect, look.text),
            ]),
            cells,
        ));
        for words in fit::wrap(&text::clean(link.why), cells.saturating_sub(4)) {
            lines.push(Line::styled(format!("   {words}"), look.dim));
        }
    }
    lines
}

/// The first line to show so that the chosen ones are in view, near the middle.
pub fn scrolled((at, high): (usize, usize), count: usize, height: usize) -> usize {
    if count <= height {
        return 0;
    }
    (at + high / 2).saturating_sub(height / 2).min(count - height).min(at)
}

fn note<'a>(app: &App, look: &Look, follows: &'static str) -> Vec<Span<'a>> {
    let count =
        |severity| app.verdict.anomalies.iter().filter(|anomaly| anomaly.severity == severity).count();
    let mut spans = Vec::new();
    for severity in [Severity::Critical, Severity::Warning, Severity::Suspect] {
        if count(severity) > 0 {
            let gap = if spans.is_empty() { "" } else { " " };
            let words = format!("{gap}{}{}", sign::severity(severity), count(severity));
            spans.push(Span::styled(words, look.severity(severity)));
        }
    }
    if !follows.is_empty() && !spans.is_empty() {
        spans.push(Span::styled(format!(" {follows}"), look.dim));
    }
    spans
}

fn entry<'a>(
    app: &App,
    look: &Look,
    row: &Row,
    selected: bool,
    focused: bool,
    cells: usize,
) -> Vec<Line<'a>> {
    let known =
        app.verdict.anomaly(&row.id).or_else(|| app.dossiers.get(&row.id).map(|dossier| &dossier.anomaly));
    let resolved = app.verdict.memory.resolved().iter().find(|resolved| resolved.anomaly.id == row.id);
    let Some(anomaly) = known.or(resolved.map(|resolved| &resolved.anomaly)) else { return Vec::new() };
    let mark = if selected { sign::NEXT } else { " " };
    let mark_style = if focused { look.accent } else { look.dim };
    let (sign, style) = match row.place {
        Place::Resolved => (sign::OK, look.good),
        _ => (sign::severity(anomaly.severity), look.severity(anomaly.severity)),
    };
    let since = match (row.place, resolved) {
        (Place::Resolved, Some(resolved)) => resolved.at,
        _ => anomaly.onset,
    };
    let age = Span::styled(text::span_short(between(since, app.now)), look.dim);
    let indent = match row.place {
        Place::Symptom { last: true } => "└ ",
        Place::Symptom { last: false } => "├ ",
        _ => "",
    };
    let summary = || incident::summary(anomaly, app.snapshot.is_everywhere());
    let root = app.verdict.incident_of(&row.id).and_then(|incident| app.verdict.anomaly(&incident.root));
    let of_its_root = root.is_some_and(|root| root.subject == anomaly.subject);
    let words = match row.place {
        Place::Root { incident, .. } => {
            let incident = app.verdict.incidents.get(incident);
            incident.map_or_else(summary, |incident| incident.title.what.clone())
        }
        Place::Symptom { .. } if of_its_root => anomaly.title.clone(),
        _ => summary(),
    };
    let plain = match row.place {
        Place::Resolved | Place::Symptom { .. } => look.dim,
        _ => look.text,
    };
    let lead = 4 + fit::width(indent);
    let room = cells.saturating_sub(lead);
    let mut wrapped = fit::wrap_first(&text::clean(&words), room.saturating_sub(5), room).into_iter();
    let left = vec![
        Span::styled(format!("{mark} "), mark_style),
        Span::styled(indent, look.border),
        Span::styled(format!("{sign} "), style),
        Span::styled(wrapped.next().unwrap_or_default(), plain),
    ];
    let mut lines = vec![fit::two_ends(left, vec![age], cells)];
    let mut more: Vec<String> = wrapped.collect();
    if more.len() > MORE_LINES {
        let rest = more.split_off(MORE_LINES - 1).join(" ");
        more.push(fit::fit(&rest, room).into_owned());
    }
    lines.extend(more.iter().map(|more| Line::styled(format!("{:lead$}{more}", ""), plain)));
    lines.extend(below(app, look, row, anomaly, style, cells));
    if selected {
        lines = lines.into_iter().map(|line| highlight(line, look.selected, cells)).collect();
    }
    lines
}

/// Under a root: how bad, what it explains, what came before it, and when it would page.
fn below<'a>(
    app: &App,
    look: &Look,
    row: &Row,
    anomaly: &Anomaly,
    style: Style,
    cells: usize,
) -> Vec<Line<'a>> {
    let Place::Root { incident, symptoms } = row.place else { return Vec::new() };
    let Some(incident) = app.verdict.incidents.get(incident) else { return Vec::new() };
    let mut spans = vec![Span::raw("    "), Span::styled(anomaly.severity.as_str(), style)];
    if symptoms > 0 {
        spans.push(Span::styled(format!(" · {}", text::count(symptoms, "symptom")), look.dim));
    }
    // Kept in sight for half a minute, in case it comes back: its words are of before.
    if let Some(gone) = app.verdict.memory.clearing_since(&row.id) {
        let gone = text::span_short(between(gone, app.now));
        spans.push(Span::styled(format!(" · gone for {gone}"), look.good));
        return vec![fit::cut(&Line::from(spans), cells)];
    }
    if let Some(after) = incident.title.lately() {
        spans.push(fit::span(format!(" · {after}"), look.dim));
    }
    let plan = app.dossiers.get(&row.id).and_then(|dossier| dossier.plan.as_ref());
    let is_over = plan.is_some_and(Plan::fix_holds);
    let Some(pages) = anomaly.pages_at.filter(|pages| *pages > app.now && !is_over) else {
        return vec![fit::cut(&Line::from(spans), cells)];
    };
    let left = between(app.now, pages).as_secs();
    let pages = format!("pages in {:02}:{:02}", left / 60, left % 60);
    let fits = spans.iter().map(Span::width).sum::<usize>() + 3 + pages.len() <= cells;
    if fits {
        spans.push(Span::styled(format!(" · {pages}"), look.warn));
        return vec![Line::from(spans)];
    }
    vec![fit::cut(&Line::from(spans), cells), Line::styled(format!("    {pages}"), look.warn)]
}

/// The whole row, to its edge.
pub fn highlight(mut line: Line<'_>, style: Style, cells: usize) -> Line<'_> {
    let gap = cells.saturating_sub(line.width());
    line.spans.push(Span::raw(" ".repeat(gap)));
    for span in &mut line.spans {
        span.style = Look::select(style, line.style.patch(span.style));
    }
    line
}

/// Nothing is wrong, or nobody knows: what is watched, and what is not.
fn quiet<'a>(app: &App, look: &Look, cells: usize) -> Vec<Line<'a>> {
    let mut lines = vec![Line::default()];
    let mut say = |words: String, style| {
        let wrapped = fit::wrap(&words, cells.saturating_sub(2));
        lines.extend(wrapped.into_iter().map(|line| Line::styled(format!(" {line}"), style)));
    };
    let team = app.snapshot.triggers.iter().map(crate::rules::Watched::from);
    let watched: Vec<crate::rules::Watched> =
        crate::rules::RULES.iter().map(|rule| (*rule).into()).chain(team).collect();
    let rules = watched.len();
    let blind = &app.verdict.blind;
    // Whoever practises for the first time wonders whether it works.
    if app.options.drill.is_some() && app.verdict.memory.resolved().is_empty() {
        say(practised(app), look.accent);
        say(String::new(), look.text);
    }
    if app.is_starting() && app.verdict.anomalies.is_empty() && blind.len() == rules {
        say("looking…".into(), look.dim);
        return lines;
    }
    if blind.is_empty() {
        say(format!("{} nothing is wrong: all {rules} rules see and are clear", sign::OK), look.good);
    } else {
        let words = format!("{} of {rules} rules cannot tell whether something is wrong", blind.len());
        say(format!("{} {words}", sign::BLIND), look.note);
    }
    lines.push(Line::default());
    lines.extend(blind_rules(app, look, cells));
    lines.push(Line::styled(" Watching for", look.dim.patch(look.strong)));
    for rule in watched {
        if blind.iter().all(|(blind, _)| blind.name != rule.name) {
            let title = Span::styled(rule.title.to_string(), look.text);
            let left = vec![Span::styled(format!(" {} ", sign::OK), look.good), title];
            lines.push(fit::two_ends(left, vec![Span::styled("clear ", look.dim)], cells));
        }
    }
    lines
}

/// What to expect of a drill: some troubles show at once, others only over minutes, as in earnest.
fn practised(app: &App) -> String {
    let struck = app.score.as_ref().map(|score| score.truth.strikes).filter(|at| *at <= app.now);
    match struck {
        None => "a drill: soon something will go wrong, and the line at the top will say what".to_owned(),
        Some(at) => format!(
            "a drill: something went wrong {} ago; what shows only over minutes, as in earnest, is said when it \
             shows",
            text::span(between(at, app.now))
        ),
    }
}

/// What blinds rules, each reason once and whole, with the rules it blinds.
fn blind_rules<'a>(app: &App, look: &Look, cells: usize) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    let mut reasons: Vec<&str> = app.verdict.blind.iter().map(|(_, why)| &*why.why).collect();
    reasons.sort_unstable();
    reasons.dedup();
    // What blinds the most comes first.
    let blinds = |reason: &str| app.verdict.blind.iter().filter(|(_, why)| *why.why == *reason).count();
    reasons.sort_by_key(|reason| std::cmp::Reverse(blinds(reason)));
    for reason in reasons {
        let rules = app.verdict.blind.iter().filter(|(_, why)| *why.why == *reason);
        let titles: Vec<&str> = rules.map(|(rule, _)| &*rule.title).collect();
        let wrapped = fit::wrap(&text::clean(reason), cells.saturating_sub(4)).into_iter().enumerate();
        lines.extend(wrapped.map(|(at, line)| {
            let lead = if at == 0 { format!(" {} ", sign::BLIND) } else { "   ".into() };
            Line::styled(format!("{lead}{line}"), look.note)
        }));
        let wrapped = fit::wrap(&titles.join(" · "), cells.saturating_sub(4));
        lines.extend(wrapped.into_iter().map(|line| Line::styled(format!("   {line}"), look.dim)));
        lines.push(Line::default());
    }
    lines
}
