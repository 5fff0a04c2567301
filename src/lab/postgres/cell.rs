//! A value of a result row, in `PostgreSQL`'s text and binary formats.

use std::error::Error;
use std::net::IpAddr;

use bytes::{BufMut, BytesMut};
use jiff::{SignedDuration, Timestamp};
use pgwire::api::Type;
use pgwire::types::ToSqlText;
use pgwire::types::format::FormatOptions;
use tokio_postgres::types::{IsNull, ToSql, to_sql_checked};

/// One value, shown in the type its column has been given.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Int4(i32),
    Int8(i64),
    Float8(f64),
    Bool(bool),
    Text(String),
    Interval(SignedDuration),
    Inet(IpAddr),
    Moment(Timestamp),
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn word(text: Option<&str>) -> Self {
        text.map_or(Self::Null, Self::text)
    }

    /// The age of something that may not be there.
    pub(super) fn age(of: Option<Timestamp>, now: Timestamp) -> Self {
        of.map_or(Self::Null, |of| Self::Interval(now.duration_since(of)))
    }
}

type Encoded = Result<IsNull, Box<dyn Error + Sync + Send>>;

const DAY: i64 = 86_400_000_000;
/// Microseconds from the Unix epoch to `PostgreSQL`'s, 2000-01-01.
const EPOCH: i64 = 946_684_800_000_000;

impl ToSql for Cell {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Encoded {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Int4(value) => number(f64::from(*value), kind, out)?,
            Self::Int8(value) => number(*value as f64, kind, out)?,
            Self::Float8(value) => number(*value, kind, out)?,
            Self::Bool(value) if *kind == Type::BOOL => out.put_u8(u8::from(*value)),
            Self::Interval(value) if *kind == Type::INTERVAL => {
                let micros = micros(*value);
                out.put_i64(micros % DAY);
                out.put_i32(i32::try_from(micros / DAY)?);
                out.put_i32(0);
            }
            Self::Interval(value) if *kind != Type::TEXT => number(value.as_secs_f64(), kind, out)?,
            Self::Inet(IpAddr::V4(address)) if *kind == Type::INET => {
                out.put_slice(&[2, 32, 0, 4]);
                out.put_slice(&address.octets());
            }
            Self::Inet(IpAddr::V6(address)) if *kind == Type::INET => {
                out.put_slice(&[3, 128, 0, 16]);
                out.put_slice(&address.octets());
            }
            Self::Moment(value) if *kind != Type::TEXT => out.put_i64(value.as_microsecond() - EPOCH),
            _ => out.put_slice(self.as_text(kind).as_bytes()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl ToSqlText for Cell {
    fn to_sql_text(&self, kind: &Type, out: &mut BytesMut, _: &FormatOptions) -> Encoded {
        if *self == Self::Null {
            return Ok(IsNull::Yes);
        }
        out.put_slice(self.as_text(kind).as_bytes());
        Ok(IsNull::No)
    }
}

impl Cell {
    fn as_text(&self, kind: &Type) -> String {
        match self {
            Self::Null => String::new(),
            Self::Int4(value) => value.to_string(),
            Self::Int8(value) => value.to_string(),
            Self::Float8(value) => value.to_string(),
            Self::Bool(value) if *kind == Type::BOOL => if *value { "t" } else { "f" }.to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Text(value) => value.clone(),
            Self::Interval(value) if [Type::INTERVAL, Type::TEXT].contains(kind) => interval(*value),
            Self::Interval(value) if *kind == Type::NUMERIC => format!("{:.6}", value.as_secs_f64()),
            Self::Interval(value) if *kind == Type::FLOAT8 => value.as_secs_f64().to_string(),
            Self::Interval(value) => value.as_secs_f64().round().to_string(),
            // A bare address casts to text with its length.
            Self::Inet(address) if *kind == Type::TEXT => {
                format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })
            }
            Self::Inet(address) => address.to_string(),
            Self::Moment(value) => moment(*value),
        }
    }
}

/// A number in the binary format of whatever numeric type is wanted.
fn number(value: f64, kind: &Type, out: &mut BytesMut) -> Result<(), Box<dyn Error + Sync + Send>> {
    match *kind {
        Type::INT4 => out.put_i32(value.round() as i32),
        Type::INT8 => out.put_i64(value.round() as i64),
        Type::FLOAT8 => out.put_f64(value),
        Type::NUMERIC => numeric(value, out),
        Type::TEXT => out.put_slice(value.to_string().as_bytes()),
        _ => return Err(format!("cannot show a number as {kind}").into()),
    }
    Ok(())
}

/// `numeric` with six decimals: groups of four digits, the weight of the first, sign and scale.
fn numeric(value: f64, out: &mut BytesMut) {
    let millionths = (value.abs() * 1e6).round() as u64;
    let (mut whole, fraction) = (millionths / 1_000_000, millionths % 1_000_000);
    let mut groups = Vec::new();
    while whole > 0 || groups.is_empty() {
        groups.insert(0, (whole % 10_000) as i16);
        whole /= 10_000;
    }
    let weight = groups.len() as i16 - 1;
    groups.extend([(fraction / 100) as i16, (fraction % 100 * 100) as i16]);
    out.put_i16(groups.len() as i16);
    out.put_i16(weight);
    out.put_u16(if value < 0.0 { 0x4000 } else { 0 });
    out.put_i16(6);
    for group in groups {
        out.put_i16(group);
    }
}

fn micros(value: SignedDuration) -> i64 {
    i64::try_from(value.as_micros()).unwrap_or(i64::MAX)
}

/// `1 day 02:03:04.5`, as `IntervalStyle = postgres` writes the difference of two moments.
fn interval(value: SignedDuration) -> String {
    let micros = micros(value);
    let (days, rest) = (micros / DAY, (micros % DAY).abs());
    let days = match days {
        0 => String::new(),
        1 => "1 day ".to_owned(),
        days => format!("{days} days "),
    };
    let sign = if micros % DAY < 0 { "-" } else { "" };
    let seconds = rest / 1_000_000;
    let fraction = format!(".{:06}", rest % 1_000_000);
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!("{days}{sign}{:02}:{:02}:{:02}{fraction}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `2026-11-23 06:54:25.123456+00`.
fn moment(value: Timestamp) -> String {
    let utc = value.to_zoned(jiff::tz::TimeZone::UTC);
    let fraction = utc.strftime("%.6f").to_string();
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!("{}{fraction}+00", utc.strftime("%Y-%m-%d %H:%M:%S"))
}
