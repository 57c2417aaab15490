//! Values that are more than a number or a text.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A program and its arguments, as they are handed to the system: no shell reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentList(Vec<String>);

impl ArgumentList {
    /// `None` if there is no program. The texts are expected to be free of NUL.
    pub(super) fn new(words: Vec<String>) -> Option<Self> {
        words.first().is_some_and(|program| !program.is_empty()).then_some(ArgumentList(words))
    }

    /// The program and what follows it; never empty.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// A number of at most six decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal(u64);

impl Decimal {
    /// The nearest one. The number is expected to be finite, and not below zero.
    pub(super) fn new(number: f64) -> Self {
        Decimal((number * 1e6).round() as u64)
    }

    /// The number itself.
    pub fn value(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

/// An address that nginx listens on. It displays as nginx reads it: `8080`, `127.0.0.1:8080`,
/// `[::1]:8080`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// `None` is every IPv4 address of the host, as nginx takes a bare port.
    /// Source: <https://nginx.org/en/docs/http/ngx_http_core_module.html#listen>.
    pub address: Option<IpAddr>,
    /// 1 to 65535.
    pub port: u16,
}

impl Listen {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let listen = if text.chars().all(|c| c.is_ascii_digit()) {
            Listen { address: None, port: text.parse().ok()? }
        } else {
            let address: SocketAddr = text.parse().ok()?;
            Listen { address: Some(address.ip()), port: address.port() }
        };
        // A scope (`fe80::1%2`) would be lost here.
        (listen.port != 0 && !text.contains('%')).then_some(listen)
    }

    /// Where a process of this host finds who listens there.
    pub fn reachable(self) -> SocketAddr {
        let address = match self.address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()) {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
            address => address,
        };
        SocketAddr::new(address, self.port)
    }

    /// Whether a request could be meant for both: nginx would take it to one of the two, and which
    /// one depends on the address that the client asked for.
    pub(super) fn overlaps(self, other: Listen) -> bool {
        let everywhere = |l: Listen| l.address.is_none_or(|address| address.is_unspecified());
        self.port == other.port && (self.address == other.address || everywhere(self) || everywhere(other))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => SocketAddr::new(address, self.port).fmt(f),
            None => self.port.fmt(f),
        }
    }
}
