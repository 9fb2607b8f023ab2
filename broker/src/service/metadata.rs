//! What a call says about itself in its headers, and by which connection it came.

use super::invalid::Invalid;
use super::validate;
use crate::clients::Call;
use crate::listener::{Connection, Peer};
use sluice_core::excerpt::excerpt;
use sluice_core::limits;
use sluice_core::system_names;
use sluice_proto::v2;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tonic::Extensions;
use tonic::metadata::MetadataMap;

/// As clients have them in their headers; the one for Node.js says HTTP.
const LANGUAGES: [&str; 14] = [
    "JAVA",
    "CPP",
    "DOT_NET",
    "GO",
    "GOLANG",
    "RUST",
    "PYTHON",
    "PHP",
    "HTTP",
    "NODE_JS",
    "RUBY",
    "OBJECTIVE_C",
    "DART",
    "KOTLIN",
];
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Who calls, and how.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The client instance: the key of all state about it.
    pub client_id: &'a str,
    metadata: &'a MetadataMap,
    peer: Option<&'a Peer>,
}

impl<'a> Caller<'a> {
    /// Reads headers and connection.
    pub fn of(metadata: &'a MetadataMap, extensions: &'a Extensions) -> Result<Self, Invalid> {
        let client_id = header(metadata, "x-mq-client-id");
        if client_id.trim().is_empty() {
            return Err(Invalid::ClientId);
        }
        if client_id.len() > limits::CLIENT_ID_MAX {
            return Err(Invalid::Request(
                "the header x-mq-client-id is longer than 255 bytes",
            ));
        }
        Ok(Self {
            client_id,
            metadata,
            peer: extensions.get(),
        })
    }

    /// `JAVA`, `GO`, … as the client has it.
    pub fn language(&self) -> &'a str {
        header(self.metadata, "x-mq-language")
    }

    /// The language under which the client is counted: clients make up names, and each would be a series.
    pub fn counted_language(&self) -> &'static str {
        let known = LANGUAGES
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(self.language()));
        known.unwrap_or("OTHER")
    }

    /// The version of the client's library; empty if it does not say.
    pub fn version(&self) -> &'a str {
        header(self.metadata, "x-mq-client-version")
    }

    /// The call, as the table of clients takes note of it.
    pub fn call(&self) -> Call<'a> {
        Call {
            id: self.client_id,
            language: self.counted_language(),
            version: self.version(),
            remote: self.remote(),
            connection: self.connection(),
        }
    }

    /// How long the caller waits for the answer.
    pub fn timeout(&self) -> Option<Duration> {
        timeout(header(self.metadata, "grpc-timeout"))
    }

    /// The client's end of the connection.
    pub fn remote(&self) -> SocketAddr {
        self.peer.map_or(NOWHERE, |peer| peer.remote)
    }

    /// Our end of the connection.
    pub fn local(&self) -> Option<SocketAddr> {
        self.peer.map(|peer| peer.local)
    }

    /// The connection.
    pub fn connection(&self) -> Option<&'a Arc<Connection>> {
        self.peer.map(|peer| &peer.connection)
    }

    /// The checked name under which the broker has a topic that the client sends to.
    pub fn topic<'r>(&self, resource: Option<&'r v2::Resource>) -> Result<Cow<'r, str>, Invalid>
    where
        'a: 'r,
    {
        let resource = resource.ok_or_else(|| Invalid::Topic("the topic is missing".to_owned()))?;
        validate::topic_name(&resource.name)?;
        let name = self.internal(resource).map_err(Invalid::Topic)?;
        fits("topic", name, limits::TOPIC_NAME_MAX).map_err(Invalid::Topic)
    }

    /// As [`Self::topic`], for one that the client receives from.
    pub fn readable_topic<'r>(&self, resource: Option<&'r v2::Resource>) -> Result<Cow<'r, str>, Invalid>
    where
        'a: 'r,
    {
        match resource {
            Some(topic) if validate::is_group_topic(&topic.name) => {
                validate::readable_topic_name(&topic.name)?;
                let name = self.internal(topic).map_err(Invalid::Topic)?;
                fits("topic", name, limits::SYSTEM_TOPIC_NAME_MAX).map_err(Invalid::Topic)
            }
            other => self.topic(other),
        }
    }

    /// The checked name under which the broker has a consumer group.
    pub fn group<'r>(&self, resource: Option<&'r v2::Resource>) -> Result<Cow<'r, str>, Invalid>
    where
        'a: 'r,
    {
        let resource = resource.ok_or_else(|| Invalid::Group("the consumer group is missing".to_owned()))?;
        validate::group_name(&resource.name)?;
        let name = self.internal(resource).map_err(Invalid::Group)?;
        fits("consumer group", name, limits::GROUP_NAME_MAX).map_err(Invalid::Group)
    }

    /// The namespace that names are in: the resource's, else the header's.
    pub fn namespace<'r>(&self, resource: &'r v2::Resource) -> &'r str
    where
        'a: 'r,
    {
        if resource.resource_namespace.is_empty() {
            header(self.metadata, "x-mq-namespace")
        } else {
            &resource.resource_namespace
        }
    }

    fn internal<'r>(&self, resource: &'r v2::Resource) -> Result<Cow<'r, str>, String>
    where
        'a: 'r,
    {
        let namespace = self.namespace(resource);
        if !namespace.is_empty() {
            validate::namespace(namespace)?;
        }
        Ok(within(namespace, &resource.name))
    }
}

/// Both parts have been checked, and together they may be too long.
fn fits<'r>(what: &str, name: Cow<'r, str>, max: usize) -> Result<Cow<'r, str>, String> {
    if name.len() > max {
        return Err(format!(
            "{what} '{}' is too long together with its namespace",
            excerpt(&name)
        ));
    }
    Ok(name)
}

/// `ns%name`; the topics of a group keep their prefix in front.
fn within<'r>(namespace: &str, name: &'r str) -> Cow<'r, str> {
    if namespace.is_empty() {
        return Cow::Borrowed(name);
    }
    match system_names::group_topic_prefix(name) {
        Some(prefix) => Cow::Owned(format!("{prefix}{namespace}%{}", &name[prefix.len()..])),
        None => Cow::Owned(format!("{namespace}%{name}")),
    }
}

/// The name as clients of the namespace have it.
pub fn without_namespace<'n>(namespace: &str, name: &'n str) -> &'n str {
    let stripped = name
        .strip_prefix(namespace)
        .and_then(|rest| rest.strip_prefix('%'));
    if namespace.is_empty() {
        name
    } else {
        stripped.unwrap_or(name)
    }
}

fn header<'a>(metadata: &'a MetadataMap, name: &'static str) -> &'a str {
    metadata
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// gRPC's form: at most eight digits and a unit.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(namespace: &str, name: &str) -> v2::Resource {
        v2::Resource {
            resource_namespace: namespace.into(),
            name: name.into(),
        }
    }

    fn metadata(headers: &[(&'static str, &str)]) -> MetadataMap {
        let mut map = MetadataMap::new();
        headers
            .iter()
            .for_each(|(name, value)| drop(map.insert(*name, value.parse().unwrap())));
        map
    }

    #[test]
    fn a_call_without_a_client_id_is_refused() {
        for headers in [&[][..], &[("x-mq-client-id", " ")]] {
            assert_eq!(
                Caller::of(&metadata(headers), &Extensions::new()).err(),
                Some(Invalid::ClientId)
            );
        }
        let long = "c".repeat(256);
        let map = metadata(&[("x-mq-client-id", &long)]);
        assert!(matches!(
            Caller::of(&map, &Extensions::new()),
            Err(Invalid::Request(_))
        ));
    }

    // Quirk node-namespace: some calls have it in the header only.
    #[test]
    fn the_namespace_is_the_resources_else_the_headers() {
        let (bare, full) = (
            metadata(&[("x-mq-client-id", "c")]),
            metadata(&[("x-mq-client-id", "c"), ("x-mq-namespace", "h")]),
        );
        let none = Extensions::new();
        for (map, namespace, name, expected) in [
            (&bare, "", "t", "t"),
            (&bare, "r", "t", "r%t"),
            (&full, "", "t", "h%t"),
            (&full, "r", "t", "r%t"),
            (&full, "", "%DLQ%g", "%DLQ%h%g"),
        ] {
            let caller = Caller::of(map, &none).unwrap();
            let resource = resource(namespace, name);
            assert_eq!(caller.readable_topic(Some(&resource)).unwrap(), expected);
        }
    }

    #[test]
    fn names_that_are_missing_or_too_long_in_their_namespace_are_refused() {
        let map = metadata(&[("x-mq-client-id", "c")]);
        let none = Extensions::new();
        let caller = Caller::of(&map, &none).unwrap();
        assert!(matches!(caller.topic(None), Err(Invalid::Topic(_))));
        assert!(matches!(caller.group(None), Err(Invalid::Group(_))));
        let long = resource("namespace", &"t".repeat(120));
        assert!(matches!(caller.topic(Some(&long)), Err(Invalid::Topic(_))));
        assert!(matches!(caller.group(Some(&long)), Err(Invalid::Group(_))));
        assert!(matches!(
            caller.topic(Some(&resource("", "%DLQ%g"))),
            Err(Invalid::Topic(_))
        ));
        let of_group = resource(&"n".repeat(127), &format!("%DLQ%{}", "g".repeat(200)));
        assert!(matches!(
            caller.readable_topic(Some(&of_group)),
            Err(Invalid::Topic(_))
        ));
        for namespace in ["%DLQ", "a b", "ä"] {
            assert!(
                matches!(
                    caller.topic(Some(&resource(namespace, "g"))),
                    Err(Invalid::Topic(_))
                ),
                "{namespace}"
            );
        }
    }

    #[test]
    fn clients_see_names_without_their_namespace() {
        for (namespace, name, expected) in [("", "a%b", "a%b"), ("a", "a%b", "b"), ("a", "ab", "ab")] {
            assert_eq!(without_namespace(namespace, name), expected);
        }
    }

    #[test]
    fn timeouts_are_read_in_every_unit() {
        for (text, expected) in [
            ("3S", Some(Duration::from_secs(3))),
            ("23000m", Some(Duration::from_secs(23))),
            ("1H", Some(Duration::from_secs(3600))),
            ("5000000u", Some(Duration::from_secs(5))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("", None),
            ("3", None),
            ("S", None),
            ("123456789S", None),
            ("-1S", None),
        ] {
            assert_eq!(timeout(text), expected, "{text}");
        }
    }
}
