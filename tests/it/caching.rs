//! How long browsers may keep static files.

use crate::site::Site;

/// A letter is used again after an rm, and /static/a/site.css is another file then.
#[test]
fn only_names_with_a_hash_are_kept_for_ever() {
    let site = Site::up("plain", "");
    let kept = |name: &str| {
        site.write(&format!("deploy/assets/static/a/{name}"), "body {}");
        let url = format!("http://localhost:{}/static/a/{name}", site.live_port());
        let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        let response = client.get(url).send().unwrap();
        assert_eq!(response.status(), 200, "{name}");
        response.headers()["cache-control"].to_str().unwrap().to_owned()
    };
    for name in ["css/site.0f1e2d3c4b5a.css", "main-0f1e2d3c4b5a6978.js"] {
        assert_eq!(kept(name), "public, max-age=31536000, immutable", "{name}");
    }
    for name in ["css/site.css", "photo-20261122.jpg", "0f1e2d3c4b5a/site.css"] {
        assert_eq!(kept(name), "no-cache", "{name}");
    }
}

/// A host's nginx may have these for its other sites.
#[test]
fn no_setting_of_the_whole_nginx_shows_files_of_the_old_build() {
    let extra = "\n[assets]\ncommands = [[\"sh\", \"-c\", \"echo $BUILD_NAME > $STATIC_ROOT/who.txt\"]]\n";
    let mut site = Site::up("plain", extra);
    site.stop();
    let nginx = site.read("deploy/conf/nginx.conf");
    let settings = "sendfile on;\n    open_file_cache max=100;\n    disable_symlinks on;";
    site.write("deploy/conf/nginx.conf", &nginx.replace("sendfile on;", settings));
    site.start();
    site.ok(&["init"]);
    for build in ["a", "b", "a"] {
        // The first answer fills a cache, the second would come from it.
        for _ in 0..2 {
            assert_eq!(site.live("/static/who.txt"), (200, format!("{build}\n")));
        }
        site.ok(&["swap-live"]);
    }
}
