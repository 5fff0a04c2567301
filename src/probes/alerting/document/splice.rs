//! One value of a YAML document replaced in its text, so that comments, order and style of the rest stay as
//! their author wrote them. Knows block style only; whoever splices reads the result back and compares.

use serde_json::Value;

/// A step on the way to a value.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Lines that hold a mapping or a sequence; `column` is where its keys or dashes stand.
#[derive(Clone, Copy, Debug)]
struct Block {
    from: usize,
    to: usize,
    column: usize,
}

/// The document with the value at `path` (which may be new in its mapping) set to `value`.
pub fn set(text: &str, path: &[Step<'_>], value: &Value) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let (last, way) = path.split_last()?;
    let Step::Key(key) = last else { return None };
    let block = walk(&lines, way)?;
    let mut out: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    match find(&lines, block, key) {
        Some((at, end)) => {
            let before = &lines[at][..block.column];
            out.splice(at..end, [format!("{before}{key}: {value}")]);
        }
        None => {
            let at = block.to;
            out.insert(at, format!("{}{key}: {value}", " ".repeat(block.column)));
        }
    }
    Some(joined(out))
}

/// The document with one item more in the list at `path`, at its beginning or its end. The list may be new.
pub fn push(text: &str, path: &[Step<'_>], item: &Value, first: bool) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let (last, way) = path.split_last()?;
    let Step::Key(key) = last else { return None };
    let parent = walk(&lines, way)?;
    let list = Value::Array(vec![item.clone()]);
    let Some((at, _)) = find(&lines, parent, key) else { return set(text, path, &list) };
    match bare(lines[at][parent.column + key.len()..].split_once(':')?.1) {
        "" => {}
        "[]" | "null" | "~" => return set(text, path, &list),
        _ => return None,
    }
    let block = walk(&lines, path)?;
    let at = if first { block.from } else { block.to };
    let mut out: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    out.insert(at, format!("{}- {item}", " ".repeat(block.column)));
    Some(joined(out))
}

fn joined(lines: Vec<String>) -> String {
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

fn walk(lines: &[&str], path: &[Step<'_>]) -> Option<Block> {
    let from = lines.iter().position(|line| is_content(line) && *line != "---")?;
    let mut block = trimmed(lines, Block { from, to: lines.len(), column: indent(lines[from]) });
    for step in path {
        block = match step {
            Step::Key(key) => {
                let (at, end) = find(lines, block, key)?;
                inner(lines, at, end, block.column + key.len())?
            }
            Step::Index(index) => item(lines, block, *index)?,
        };
    }
    Some(block)
}

/// The lines of a key: its own and those of its value.
fn find(lines: &[&str], block: Block, key: &str) -> Option<(usize, usize)> {
    let at = (block.from..block.to).find(|at| {
        let line = lines[*at];
        let starts = if *at == block.from { true } else { indent(line) == block.column };
        starts
            && line.get(block.column..).is_some_and(|rest| {
                rest.strip_prefix(key).is_some_and(|rest| rest == ":" || rest.starts_with(": "))
            })
    })?;
    let goes_on = |line: &str| {
        let column = indent(line);
        !is_content(line) || column > block.column || column == block.column && is_item(line)
    };
    let end = (at + 1..block.to).find(|next| !goes_on(lines[*next])).unwrap_or(block.to);
    Some((at, trimmed(lines, Block { from: at, to: end, column: 0 }).to))
}

/// What stands below a key whose value is not on its own line.
fn inner(lines: &[&str], at: usize, end: usize, after: usize) -> Option<Block> {
    let rest = lines[at].get(after..)?.split_once(':')?.1;
    if !bare(rest).is_empty() {
        return None;
    }
    let from = (at + 1..end).find(|line| is_content(lines[*line]))?;
    Some(Block { from, to: end, column: indent(lines[from]) })
}

/// The mapping that is this item of a sequence.
fn item(lines: &[&str], block: Block, index: usize) -> Option<Block> {
    let starts: Vec<usize> = (block.from..block.to)
        .filter(|at| indent(lines[*at]) == block.column && is_item(lines[*at]))
        .collect();
    let from = *starts.get(index)?;
    let to = starts.get(index + 1).copied().unwrap_or(block.to);
    let rest = lines[from].get(block.column + 1..)?;
    let column = block.column + 1 + (rest.len() - rest.trim_start().len());
    (!rest.trim().is_empty()).then(|| trimmed(lines, Block { from, to, column }))
}

/// Without the blank lines and comments at its end, which belong to what follows.
fn trimmed(lines: &[&str], mut block: Block) -> Block {
    while block.to > block.from + 1 && !is_content(lines[block.to - 1]) {
        block.to -= 1;
    }
    block
}

fn bare(rest: &str) -> &str {
    let rest = rest.trim();
    if rest.starts_with('#') { "" } else { rest.split(" #").next().unwrap_or_default().trim() }
}

fn is_content(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with('#')
}

fn is_item(line: &str) -> bool {
    let line = line.trim_start();
    line == "-" || line.starts_with("- ")
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DOCUMENT: &str = "# ours\nglobal:\n  resolve_timeout: 5m # calm\n\nroute:\n  # who is called\n  receiver: a\n  group_by:\n  - alertname\n  - job\n  routes:\n  - receiver: b\n    matchers: ['x=\"y\"']\n\n# people\nreceivers:\n- name: a\n- name: b\n";

    fn parsed(text: &str) -> Value {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn one_value_changes_and_everything_else_stays() {
        let out = set(DOCUMENT, &[Step::Key("route"), Step::Key("group_by")], &json!(["cluster"])).unwrap();
        let mut wanted = parsed(DOCUMENT);
        wanted["route"]["group_by"] = json!(["cluster"]);
        assert_eq!(parsed(&out), wanted);
        for kept in ["# ours", "# calm", "# who is called", "# people"] {
            assert!(out.contains(kept), "{out}");
        }
        let out = set(DOCUMENT, &[Step::Key("route"), Step::Key("group_wait")], &json!("1m")).unwrap();
        assert_eq!(parsed(&out)["route"]["group_wait"], json!("1m"));
        let nested = [Step::Key("route"), Step::Key("routes"), Step::Index(0), Step::Key("receiver")];
        assert_eq!(
            parsed(&set(DOCUMENT, &nested, &json!("a")).unwrap())["route"]["routes"][0]["receiver"],
            "a"
        );
    }

    #[test]
    fn items_go_first_or_last_and_lists_may_be_new() {
        let rule = json!({"equal": ["node"]});
        let out = push(DOCUMENT, &[Step::Key("inhibit_rules")], &rule, false).unwrap();
        assert_eq!(parsed(&out)["inhibit_rules"], json!([rule]));
        let routes = [Step::Key("route"), Step::Key("routes")];
        let out = push(DOCUMENT, &routes, &json!({"receiver": "a"}), true).unwrap();
        assert_eq!(parsed(&out)["route"]["routes"][0]["receiver"], "a");
        assert_eq!(parsed(&out)["route"]["routes"][1]["receiver"], "b");
        let out = push(DOCUMENT, &[Step::Key("receivers")], &json!({"name": "c"}), false).unwrap();
        assert_eq!(parsed(&out)["receivers"][2]["name"], "c");
        assert!(push("route: {receiver: a, routes: [{}]}\n", &routes, &rule, true).is_none());
    }
}
