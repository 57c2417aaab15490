//! The port of a build: `base_port + 10 n`, both ways.

use std::fmt;

use super::name::BuildName;

/// Ports from one build to the next. The nine between are the operator's.
const STEP: u32 = 10;

/// The loopback port on which a build's vassal speaks HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(u16);

impl Port {
    /// The port of a build, or `None` where it would lie above 65535.
    pub fn of(name: BuildName, base: u16) -> Option<Self> {
        let port = u32::from(base).checked_add(name.number().checked_mul(STEP)?)?;
        u16::try_from(port).ok().map(Self)
    }

    /// The build whose port `number` is, or `None` where it is no build's.
    pub fn owner(number: u16, base: u16) -> Option<BuildName> {
        let offset = u32::from(number.checked_sub(base)?);
        (offset % STEP == 0).then(|| BuildName::from_number(offset / STEP))
    }

    /// The number as sockets want it.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_port_is_its_owners(number: u16, base: u16) {
            if let Some(name) = Port::owner(number, base) {
                prop_assert_eq!(Port::of(name, base).map(Port::number), Some(number));
            }
        }
    }

    fn name(text: &str) -> BuildName {
        text.parse().unwrap()
    }

    #[test]
    fn ports_are_distinct_and_lead_back() {
        let mut seen = HashSet::new();
        for build in BuildName::sequence().take_while(|&build| Port::of(build, 1024).is_some()) {
            let port = Port::of(build, 1024).unwrap();
            assert!(seen.insert(port), "{port} twice");
            assert_eq!(Port::owner(port.number(), 1024), Some(build));
        }
        assert_eq!(seen.len(), 6452);
    }

    #[test]
    fn z_and_aa_do_not_share_a_port() {
        assert_eq!(Port::of(name("z"), 2000).unwrap().number(), 2250);
        assert_eq!(Port::of(name("aa"), 2000).unwrap().number(), 2260);
    }

    #[test]
    fn the_last_port_works_and_the_next_is_refused() {
        let last = BuildName::from_number((65535 - 2000) / 10);
        assert_eq!(Port::of(last, 2000).unwrap().number(), 65530);
        assert_eq!(Port::of(BuildName::from_number(last.number() + 1), 2000), None);
        assert_eq!(Port::of(name("zzzzzz"), 2000), None);
    }

    #[test]
    fn ports_between_builds_belong_to_none() {
        for number in [0, 1999, 2001, 2009] {
            assert_eq!(Port::owner(number, 2000), None, "{number}");
        }
    }
}
