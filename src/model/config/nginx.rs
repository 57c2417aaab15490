//! The section `[nginx]`.

use std::path::PathBuf;

use super::document::Document;
use super::error::Advice;
use super::kind::Kind;
use super::kinds::{absolute, argument_list, choice, listen, only, plain_program, text};
use super::rule::Rule;
use super::section::Section;
use super::values::{ArgumentList, Listen};

/// The section `[nginx]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nginx {
    /// How nginx reaches a build: by its Unix `"socket"` or by its `"port"` on loopback. Default:
    /// `"socket"`.
    pub upstream: Upstream,
    /// The nginx to run: the name of a program, or an absolute path, of letters, digits and `/ . _ + -`.
    /// Default: `"nginx"`.
    pub binary: PathBuf,
    /// Where nginx serves the live build: `PORT`, `ADDRESS:PORT` or `[IPV6]:PORT`. A bare port
    /// means every address of the host. Default: `"127.0.0.1:8080"`.
    pub live_listen: Listen,
    /// Where nginx serves the staged build, written like `live_listen` and on another port or
    /// address. Default: `"127.0.0.1:8081"`.
    pub stage_listen: Listen,
    /// Where monitors ask whether the live build is well: it answers during maintenance, too. Letters, digits and
    /// `/ . _ + -`. Default: `"/health"`.
    pub health_path: String,
    /// The command that tests the configuration of nginx. Default: `["nginx", "-t"]`.
    pub test: ArgumentList,
    /// The command that makes nginx read its configuration again. Default: `["nginx", "-s",
    /// "reload"]`.
    pub reload: ArgumentList,
    /// The file that holds the process id of nginx, an absolute path. Default: `"/run/nginx.pid"`.
    pub pid_file: PathBuf,
}

/// How nginx reaches a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upstream {
    /// By the Unix socket in the build.
    Socket,
    /// By the build's port on loopback.
    Port,
}

impl Nginx {
    pub(super) fn read(section: &mut Section) -> Self {
        let upstreams = [("socket", Upstream::Socket), ("port", Upstream::Port)];
        Nginx {
            upstream: section.take("upstream", r#""socket""#, choice(&upstreams)),
            binary: section.take("binary", r#""nginx""#, plain_program()),
            live_listen: section.take("live_listen", r#""127.0.0.1:8080""#, listen()),
            stage_listen: section.take("stage_listen", r#""127.0.0.1:8081""#, listen()),
            health_path: section.take("health_path", r#""/health""#, health_path()),
            test: section.take("test", r#"["nginx", "-t"]"#, argument_list()),
            reload: section.take("reload", r#"["nginx", "-s", "reload"]"#, argument_list()),
            pid_file: section.take("pid_file", r#""/run/nginx.pid""#, absolute()),
        }
    }

    pub(super) fn check(&self, document: &mut Document) {
        let (live, stage) = (self.live_listen, self.stage_listen);
        if live.overlaps(stage)
            && let Some(key) = document.blame(&["nginx.stage_listen", "nginx.live_listen"])
        {
            let free = live.port.checked_add(1).unwrap_or(1024);
            let advice = Advice::new("another port", key, &format!(r#""127.0.0.1:{free}""#));
            document.refuse(key, Rule::SameListen { live, stage }, advice);
        }
    }
}

/// The path of a URL, which is written into nginx's configuration.
fn health_path() -> Kind<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
    text("a path that starts with /").and_then(move |text| {
        match only(text, allowed, "letters, digits and / . _ + -")? {
            path if path.starts_with('/') => Ok(path),
            _ => Err(Rule::NoSlash),
        }
    })
}
