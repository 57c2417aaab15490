//! The skeletons that the binary carries, filled in for one site or one build.

use std::path::Path;

use super::config::{self, Config, Upstream};
use super::layout::{Layout, Role};
use super::manifest::Manifest;
use super::port::Port;
use super::render::render;

/// One file of a site's `conf/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skeleton {
    /// Its path below `conf/`.
    pub path: &'static str,
    /// Its text, filled in.
    pub text: String,
    /// Whether it is a program.
    pub executable: bool,
}

/// What depends on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host<'a> {
    /// What goes to `nginx -g` under `builds up`.
    pub nginx_globals: &'a str,
    /// What `nginx -v` says, as in `nginx version: nginx/1.22.1`.
    pub nginx_version: &'a str,
}

/// All files of a site's `conf/`, as they are shipped.
pub fn of_site(config: &Config, layout: &Layout, host: &Host) -> Vec<Skeleton> {
    let root = layout.root().to_string_lossy();
    let (uwsgi, nginx) = (config.uwsgi.binary.to_string_lossy(), config.nginx.binary.to_string_lossy());
    let values = [
        ("root", root.as_ref()),
        ("site", &config.site.name),
        ("host", &config.site.host),
        ("uwsgi", uwsgi.as_ref()),
        ("nginx", nginx.as_ref()),
        ("nginx_globals", host.nginx_globals),
        ("keepalive_min_timeout", keepalive_min_timeout(host.nginx_version)),
        ("live_listen", &config.nginx.live_listen.to_string()),
        ("stage_listen", &config.nginx.stage_listen.to_string()),
        ("health_path", &config.nginx.health_path),
        ("web", &own_name(layout, Role::Live)),
        ("webstage", &own_name(layout, Role::Stage)),
    ];
    let pass = match config.nginx.upstream {
        Upstream::Socket => include_str!("../../skel/conf/pass-socket.conf"),
        Upstream::Port => include_str!("../../skel/conf/pass-port.conf"),
    };
    [
        ("vassal.skel", include_str!("../../skel/conf/vassal.skel")),
        ("zerg.skel", include_str!("../../skel/conf/zerg.skel")),
        ("canary.skel", include_str!("../../skel/conf/canary.skel")),
        ("vassals.ini", include_str!("../../skel/conf/vassals.ini")),
        ("zergs.ini", include_str!("../../skel/conf/zergs.ini")),
        ("up.ini", include_str!("../../skel/conf/up.ini")),
        ("uwsgi.sh", include_str!("../../skel/conf/uwsgi.sh")),
        ("nginx.sh", include_str!("../../skel/conf/nginx.sh")),
        ("nginx.conf", include_str!("../../skel/conf/nginx.conf")),
        ("site.conf", include_str!("../../skel/conf/site.conf")),
        ("locations.conf", include_str!("../../skel/conf/locations.conf")),
        ("pass.conf", pass),
        ("pages/welcome.html", include_str!("../../skel/conf/pages/welcome.html")),
        ("pages/unavailable.html", include_str!("../../skel/conf/pages/unavailable.html")),
        ("pages/maintenance.html", include_str!("../../skel/conf/pages/maintenance.html")),
    ]
    .into_iter()
    .map(|(path, template)| Skeleton { path, text: render(template, &values), executable: path.ends_with(".sh") })
    .collect()
}

/// How an idle connection survives a reload, where nginx knows how: from 1.27.4 on.
fn keepalive_min_timeout(version: &str) -> &'static str {
    let numbers = version.rsplit('/').next().unwrap_or_default().split(|c: char| !c.is_ascii_digit());
    let numbers: Vec<u32> = numbers.map_while(|number| number.parse().ok()).collect();
    if numbers >= vec![1, 27, 4] { "keepalive_min_timeout 10s;" } else { "# This nginx has none." }
}

/// A build's `build.ini`: what the skeletons read of it.
pub fn build_ini(config: &Config, manifest: &Manifest, port: Port) -> String {
    let uwsgi = &config.uwsgi;
    let (cheaper, workers) = (uwsgi.cheaper.to_string(), uwsgi.workers.to_string());
    let fewer = match uwsgi.cheaper {
        0 => String::new(),
        _ => render(include_str!("../../skel/build/cheaper.ini"), &[("cheaper", &cheaper), ("workers", &workers)]),
    };
    render(
        include_str!("../../skel/build/build.ini"),
        &[
            ("tag", manifest.tag.as_str()),
            ("port", &port.to_string()),
            ("listen", &uwsgi.listen.to_string()),
            ("workers", &workers),
            ("threads", &uwsgi.threads.to_string()),
            ("module", uwsgi.module.as_deref().or(manifest.module.as_deref()).unwrap_or_default()),
            ("cheaper", &fewer),
        ],
    )
}

/// The port in the text of a `build.ini`.
pub fn port_in(build_ini: &str) -> Option<u16> {
    build_ini.lines().find_map(|line| line.strip_prefix("set-placeholder = build-port="))?.parse().ok()
}

/// A build's nginx upstream for a role, by the name under which `site_conf`, the text of the site's own file, asks for it.
pub fn upstream(config: &Config, layout: &Layout, role: Role, port: u16, site_conf: &str) -> String {
    let template = match config.nginx.upstream {
        Upstream::Socket => include_str!("../../skel/build/upstream-socket.conf"),
        Upstream::Port => include_str!("../../skel/build/upstream-port.conf"),
    };
    let own = own_name(layout, role);
    // A file from before sites had names of their own.
    let name = if site_conf.contains(&own) { &own } else { plain_name(role) };
    render(
        template,
        &[
            ("upstream", name),
            ("root", &layout.root().to_string_lossy()),
            ("link", role.link_name()),
            ("port", &port.to_string()),
        ],
    )
}

/// The name of a role's upstream in nginx, which may serve several sites and takes each name once.
fn own_name(layout: &Layout, role: Role) -> String {
    let root = layout.root().to_string_lossy();
    format!("{}-{}", plain_name(role), root.trim_start_matches('/').replace('/', "-"))
}

fn plain_name(role: Role) -> &'static str {
    match role {
        Role::Live => "web",
        Role::Stage => "webstage",
    }
}

/// A name for the site of a directory: its own, with what a site's name cannot have as `-`.
pub fn site_name(directory: &Path) -> String {
    config::parse("", &directory.join("builds.toml")).map_or_else(|_| "site".into(), |config| config.site.name)
}

/// A first `builds.toml`; the arguments are TOML values but for `name` and `module`, which are plain words.
pub fn example_config(name: &str, module: &str, assets: &str, init: &str) -> String {
    render(
        include_str!("../../skel/builds.toml"),
        &[("name", name), ("module", module), ("assets", assets), ("init", init)],
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::damaged::damaged;
    use crate::model::name::BuildName;

    #[test]
    fn nginx_is_told_only_what_it_knows() {
        for (version, knows) in [
            ("nginx version: nginx/1.22.1\n", false),
            ("nginx version: nginx/1.27.3", false),
            ("nginx version: nginx/1.27.4 (Ubuntu)", true),
            ("nginx version: nginx/1.30.0", true),
            ("nginx version: openresty/1.27.1.2", false),
            ("", false),
        ] {
            assert_eq!(keepalive_min_timeout(version).starts_with("keepalive"), knows, "{version}");
        }
    }

    #[test]
    fn each_site_has_upstreams_of_its_own_and_an_older_one_keeps_its_names() {
        let config = config::parse("", Path::new("/srv/shop/builds.toml")).unwrap();
        let layout = Layout::new(&config.site.root);
        let skeletons = of_site(&config, &layout, &Host { nginx_globals: "", nginx_version: "" });
        let shipped = skeletons.into_iter().find(|skeleton| skeleton.path == "site.conf").unwrap().text;
        let older = shipped.replace("-srv-shop-deploy;", ";");
        for (site_conf, live, stage) in
            [(&shipped, "web-srv-shop-deploy", "webstage-srv-shop-deploy"), (&older, "web", "webstage")]
        {
            for (role, name) in [(Role::Live, live), (Role::Stage, stage)] {
                assert!(site_conf.contains(&format!("set $upstream {name};")), "{site_conf}");
                let upstream = upstream(&config, &layout, role, 2000, site_conf);
                assert!(upstream.starts_with(&format!("upstream {name} {{")), "{upstream}");
            }
        }
    }

    /// How often each sign that means something to uWSGI, nginx or a shell stands in what is written for a site.
    fn signs(config: &Config) -> Vec<usize> {
        let layout = Layout::new(&config.site.root);
        let manifest = Manifest::begin(BuildName::FIRST, 0, Default::default());
        let port = Port::of(BuildName::FIRST, 2000).unwrap();
        let texts = of_site(config, &layout, &Host { nginx_globals: "daemon off;", nginx_version: "" })
            .into_iter()
            .map(|skeleton| skeleton.text);
        let text = texts.collect::<String>()
            + &build_ini(config, &manifest, port)
            + &upstream(config, &layout, Role::Live, 2000, "web-srv-shop-deploy");
        "\n\r\t ;{}()%$\"'`\\=#&|<>*?!,@\0".chars().map(|sign| text.matches(sign).count()).collect()
    }

    const PLACES: [(&str, &str, &str); 7] = [
        ("site", "name", "shop"),
        ("site", "host", "localhost"),
        ("site", "root", "/srv/shop/deploy"),
        ("uwsgi", "binary", "uwsgi"),
        ("uwsgi", "module", "wsgi:application"),
        ("nginx", "binary", "nginx"),
        ("nginx", "health_path", "/health"),
    ];

    proptest! {
        #[test]
        fn no_value_of_the_configuration_brings_syntax_of_its_own(
            at: Index,
            sign in prop_oneof![1 => "\\PC", 9 => "[\n\r\t ;{}()%$\"'`\\\\=#&|<>*?!,@]"],
        ) {
            for (section, key, usual) in PLACES {
                let read = |value: &str| {
                    let value = toml::Value::String(value.into());
                    config::parse(&format!("[{section}]\n{key} = {value}\n"), Path::new("/srv/shop/builds.toml"))
                };
                let mut value = usual.to_owned();
                value.insert_str(at.index(usual.len() + 1), &sign);
                if let Ok(config) = read(&value) {
                    prop_assert_eq!(signs(&config), signs(&read(usual).unwrap()), "{} = {}", key, value);
                }
            }
        }

        #[test]
        fn a_port_is_found_or_none(text in damaged("[uwsgi]\nset-placeholder = build-port=2000\nlisten = 100\n")) {
            port_in(&text);
        }
    }
}
