//! What a step does, read from TOML: one action, its parameters by their types, and their placeholders.

use std::collections::BTreeMap;

use toml_edit::{Item, Value};

use super::PodSet;
use super::parse_step::Inputs;
use super::placeholders::{self, BINDINGS, SETTINGS};
use super::reader::{At, Fields, Lints};
use super::template::Template;
use super::verb::{Arg, Json, Param, ParamKind, Todo, Verb};

pub(super) fn todo(lints: &mut Lints<'_>, row: &Fields<'_>, inputs: &Inputs) -> Option<Todo> {
    let Some(table) = row.table(lints, "do", "do") else {
        if row.item("do").is_none() {
            row.lacks(lints, "do", "one action and its parameters: do = { action = \"…\" }");
        }
        return None;
    };
    let names: Vec<&str> = Verb::all().map(|verb| verb.name).collect();
    let word = table.need_line(lints, "action", &format!("one of {}", names.join(", ")))?;
    let Some(verb) = Verb::find(&word.value) else {
        lints.unknown(&word.at, "action", &word.value, &names);
        return None;
    };
    let mut allowed = vec!["action"];
    allowed.extend(verb.params.iter().map(|param| param.name));
    table.only(lints, &allowed);
    let mut args = BTreeMap::new();
    for param in verb.params {
        match table.item(param.name) {
            Some(item) => {
                if let Some(arg) = arg(lints, &table, param, &item, inputs) {
                    args.insert(param.name, arg);
                }
            }
            None if param.required => {
                table.lacks(lints, param.name, &format!("`{}` needs it: {}", verb.name, param.kind.says()));
            }
            None => {}
        }
    }
    Some(Todo { verb, args })
}

fn arg(
    lints: &mut Lints<'_>,
    table: &Fields<'_>,
    param: &Param,
    item: &At<&Item>,
    inputs: &Inputs,
) -> Option<Arg> {
    match param.kind {
        ParamKind::Flag => table.flag(lints, param.name).map(|flag| Arg::Flag(flag.value)),
        ParamKind::Words => {
            let words = table.words(lints, param.name);
            Some(Arg::List(words.iter().filter_map(|word| template(lints, word, inputs)).collect()))
        }
        ParamKind::Pods => {
            let word = table.text(lints, param.name)?;
            let set = PodSet::parse(&word.value);
            if set.is_none() {
                lints.unknown(&word.at, "set of pods", &word.value, &PodSet::ALL.map(|(name, _)| name));
            }
            set.map(Arg::Pods)
        }
        ParamKind::Pairs => pairs(lints, table, param.name, inputs),
        ParamKind::Json => json(lints, item.value, &item.at, inputs).map(Arg::Json),
        kind => {
            let text = match item.value.as_integer() {
                Some(number) if kind == ParamKind::Count => {
                    At { value: number.to_string(), at: item.at.clone() }
                }
                _ => table.text(lints, param.name)?,
            };
            let written_out = matches!(kind, ParamKind::Kind | ParamKind::OneOf(_));
            let template = template(lints, &text, inputs)?;
            let literal = template.placeholders().next().is_none();
            if literal || written_out {
                let value = template.show(&BTreeMap::new());
                if let Err(says) = kind.check(&value) {
                    let what = format!("`{}` cannot be `{}`", param.name, crate::domain::text::clean(&value));
                    lints.add(&text.at, what, Some(says));
                }
            }
            Some(Arg::Text(template))
        }
    }
}

fn pairs(lints: &mut Lints<'_>, table: &Fields<'_>, name: &str, inputs: &Inputs) -> Option<Arg> {
    let pairs = table.table(lints, name, "table")?;
    let mut list = Vec::new();
    for (key, at) in pairs.keys() {
        let key_template = template(lints, &At { value: key.to_owned(), at: at.clone() }, inputs);
        let value = pairs.item(key)?;
        let value = match (value.value.as_bool(), value.value.as_str()) {
            (Some(false), _) => None,
            (_, Some(text)) => {
                Some(template(lints, &At { value: text.to_owned(), at: value.at.clone() }, inputs)?)
            }
            _ => {
                lints.add(&value.at, "a value is a string; false removes the entry", None);
                continue;
            }
        };
        list.push((key_template?, value));
    }
    Some(Arg::Pairs(list))
}

fn json(lints: &mut Lints<'_>, item: &Item, at: &std::ops::Range<usize>, inputs: &Inputs) -> Option<Json> {
    if let Some(table) = item.as_table_like() {
        let mut fields = Vec::new();
        for (name, item) in table.iter() {
            let at = item.span().unwrap_or_else(|| at.clone());
            fields.push((name.to_owned(), json(lints, item, &at, inputs)?));
        }
        return Some(Json::Object(fields));
    }
    match item.as_value()? {
        Value::String(text) => {
            template(lints, &At { value: text.value().clone(), at: at.clone() }, inputs).map(Json::Text)
        }
        Value::Integer(number) => Some(Json::Number((*number.value()).into())),
        Value::Float(number) => serde_json::Number::from_f64(*number.value()).map(Json::Number),
        Value::Boolean(flag) => Some(Json::Bool(*flag.value())),
        Value::Array(values) => {
            let items = values.iter().map(|value| {
                let at = value.span().unwrap_or_else(|| at.clone());
                json(lints, &Item::Value(value.clone()), &at, inputs)
            });
            items.collect::<Option<Vec<_>>>().map(Json::List)
        }
        _ => {
            lints.add(at, "neither text, number, flag, list nor table", None);
            None
        }
    }
}

/// A text whose placeholders are known.
pub(super) fn template(lints: &mut Lints<'_>, text: &At<String>, inputs: &Inputs) -> Option<Template> {
    let template = match Template::parse(&text.value) {
        Ok(template) => template,
        Err(broken) => {
            let rest: String = text.value[broken.at..].chars().take(12).collect();
            let at = lints.within(&text.at, &rest);
            lints.add(
                &at,
                format!("broken placeholder: {}", broken.says),
                Some("`{{` stands for a brace".into()),
            );
            return None;
        }
    };
    for name in template.placeholders() {
        let of_trigger = lints.labels && name.starts_with(placeholders::LABEL);
        if !of_trigger && !placeholders::is_known(name) && !inputs.iter().any(|(input, _)| input.name == name)
        {
            let mut known: Vec<&str> = inputs.iter().map(|(input, _)| input.name.as_str()).collect();
            known.extend(BINDINGS.iter().map(|(known, _)| known));
            known.extend(SETTINGS.iter().map(|(known, ..)| known));
            let at = lints.within(&text.at, &format!("{{{name}}}"));
            lints.unknown(&at, "placeholder", name, &known);
        }
    }
    Some(template)
}
