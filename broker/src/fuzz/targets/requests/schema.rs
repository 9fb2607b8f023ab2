//! Requests by chance, as the descriptors of both APIs describe them: fields with their numbers and types, and in them mostly
//! what a client could send.

use crate::fuzz::draw;
use bolero::Driver;
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use sluice_core::codec::{put_bytes, put_varint};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Messages within messages.
const DEPTH_MAX: usize = 6;
const REPEATED_MAX: usize = 3;
/// What a field of this name usually has. The handle is one of the shard that the checks are of.
const USUAL: [(&str, &[&str]); 12] = [
    ("name", &["orders", "billing", "%DLQ%billing"]),
    ("resource_namespace", &["", "ns"]),
    ("topic", &["orders"]),
    ("group", &["billing"]),
    ("message_id", &["01AB"]),
    ("tag", &["red"]),
    ("keys", &["k1", "k2"]),
    ("message_group", &["m"]),
    ("expression", &["red || blue", "*"]),
    ("checksum", &["", "907060870"]),
    ("host", &["10.0.0.1", "broker.test"]),
    ("receipt_handle", &["AQcHBwcDiCcCCQHwogS4xvxX"]),
];

pub static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::read);

/// The messages of both APIs.
pub struct Schema {
    messages: HashMap<String, Vec<Field>>,
    requests: Vec<String>,
}

struct Field {
    number: u64,
    name: String,
    kind: Kind,
    repeated: bool,
}

enum Kind {
    Varint,
    Enum,
    Fixed32,
    Fixed64,
    Text,
    Bytes,
    Message(String),
}

impl Schema {
    fn read() -> Self {
        let files = FileDescriptorSet::decode(sluice_proto::DESCRIPTORS).expect("the descriptors are ours");
        let mut schema = Self {
            messages: HashMap::new(),
            requests: Vec::new(),
        };
        for file in &files.file {
            for message in &file.message_type {
                schema.add(file.package(), message);
            }
            let methods = file.service.iter().flat_map(|service| &service.method);
            schema
                .requests
                .extend(methods.map(|method| bare(method.input_type())));
        }
        schema
    }

    fn add(&mut self, scope: &str, message: &DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        for nested in &message.nested_type {
            self.add(&name, nested);
        }
        let fields = message.field.iter().map(Field::of).collect();
        self.messages.insert(name, fields);
    }

    /// The types that calls are made with, as often as they are.
    pub fn requests(&self) -> Vec<&str> {
        self.requests.iter().map(String::as_str).collect()
    }

    /// The bytes of a message of this type.
    pub fn draw<D: Driver>(&self, driver: &mut D, message: &str) -> Option<Vec<u8>> {
        self.draw_within(driver, message, DEPTH_MAX)
    }

    fn draw_within<D: Driver>(&self, driver: &mut D, message: &str, depth: usize) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        for field in self.messages.get(message).map_or(&[][..], Vec::as_slice) {
            let times = match field.repeated {
                true => draw::below(driver, REPEATED_MAX + 1)?,
                false => usize::from(!draw::once_in(driver, 3)?),
            };
            for _ in 0..times {
                self.draw_field(driver, field, depth, &mut out)?;
            }
        }
        Some(out)
    }

    fn draw_field<D: Driver>(
        &self,
        driver: &mut D,
        field: &Field,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let tag = |out: &mut Vec<u8>, wire: u64| put_varint(out, field.number << 3 | wire);
        match &field.kind {
            Kind::Varint => {
                tag(out, 0);
                put_varint(out, draw::number(driver)?);
            }
            Kind::Enum => {
                tag(out, 0);
                let any = draw::once_in(driver, 8)?;
                put_varint(
                    out,
                    if any {
                        draw::number(driver)?
                    } else {
                        draw::below(driver, 4)? as u64
                    },
                );
            }
            Kind::Fixed32 => {
                tag(out, 5);
                out.extend_from_slice(&(draw::number(driver)? as u32).to_le_bytes());
            }
            Kind::Fixed64 => {
                tag(out, 1);
                out.extend_from_slice(&draw::number(driver)?.to_le_bytes());
            }
            Kind::Text => {
                tag(out, 2);
                put_bytes(out, field.text(driver)?.as_bytes());
            }
            Kind::Bytes => {
                tag(out, 2);
                put_bytes(out, &draw::bytes(driver, 64)?);
            }
            Kind::Message(message) => {
                if let Some(depth) = depth.checked_sub(1) {
                    tag(out, 2);
                    put_bytes(out, &self.draw_within(driver, message, depth)?);
                }
            }
        }
        Some(())
    }
}

impl Field {
    fn of(field: &FieldDescriptorProto) -> Self {
        let kind = match field.r#type() {
            Type::String => Kind::Text,
            Type::Bytes => Kind::Bytes,
            Type::Message | Type::Group => Kind::Message(bare(field.type_name())),
            Type::Enum => Kind::Enum,
            Type::Double | Type::Fixed64 | Type::Sfixed64 => Kind::Fixed64,
            Type::Float | Type::Fixed32 | Type::Sfixed32 => Kind::Fixed32,
            Type::Int64
            | Type::Uint64
            | Type::Int32
            | Type::Uint32
            | Type::Bool
            | Type::Sint32
            | Type::Sint64 => Kind::Varint,
        };
        Self {
            number: field.number() as u64,
            name: field.name().to_owned(),
            kind,
            repeated: field.label() == Label::Repeated,
        }
    }

    fn text<D: Driver>(&self, driver: &mut D) -> Option<String> {
        let usual = USUAL.iter().find(|(name, _)| *name == self.name);
        match usual {
            Some((_, texts)) if !draw::once_in(driver, 4)? => Some(draw::one_of(driver, texts)?.to_owned()),
            _ => draw::text(driver),
        }
    }
}

/// A type's name without the point in front.
fn bare(name: &str) -> String {
    name.trim_start_matches('.').to_owned()
}
