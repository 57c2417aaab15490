//! nginx's configuration as `nginx -T` prints it, read as far as one question needs: what a directive is for the site.

/// A directive with its arguments, in the place where it stands.
struct Directive {
    /// The file.
    file: String,
    /// The names of the blocks around it in this file, outermost first.
    blocks: Vec<String>,
    /// Its name and arguments.
    words: Vec<String>,
}

/// The arguments of the directive `name` that hold in the servers of the site at `root`; `None` where it is off.
///
/// One in a file of the site stands in its servers and wins over one of the http block, which all servers have from it.
/// What stands in a server of another file is not the site's.
pub fn in_force(dump: &str, root: &str, name: &str) -> Option<String> {
    let named = |directive: &Directive| directive.words.first().is_some_and(|word| word == name);
    let all: Vec<Directive> = directives(dump).into_iter().filter(named).collect();
    let inside = |directive: &Directive, block: &str| directive.blocks.iter().any(|name| name == block);
    let own = |directive: &&Directive| {
        // The nginx under `builds up` has its http block in a file of the site, too.
        let in_servers = inside(directive, "server") || !inside(directive, "http");
        directive.file.starts_with(&format!("{root}/")) && in_servers
    };
    let elsewhere = |directive: &&Directive| inside(directive, "server");
    let shared = || all.iter().filter(|directive| !own(directive) && !elsewhere(directive));
    let holding: Vec<&Directive> = match all.iter().any(|directive| own(&directive)) {
        true => all.iter().filter(own).collect(),
        false => shared().collect(),
    };
    let values = holding.into_iter().map(|directive| directive.words[1..].join(" "));
    values.into_iter().find(|value| value != "off")
}

/// All directives of a dump that are no blocks.
fn directives(dump: &str) -> Vec<Directive> {
    let mut found = Vec::new();
    let (mut file, mut blocks, mut words) = (String::new(), Vec::new(), Vec::new());
    let mut rest = dump;
    while let Some((token, after)) = token(rest) {
        rest = after;
        match token {
            Token::File(path) => (file, blocks, words) = (path.to_owned(), Vec::new(), Vec::new()),
            Token::Word(word) => words.push(word.to_owned()),
            Token::Open => blocks.push(std::mem::take(&mut words).into_iter().next().unwrap_or_default()),
            Token::Close => {
                blocks.pop();
                words.clear();
            }
            Token::End => {
                found.push(Directive { file: file.clone(), blocks: blocks.clone(), words: std::mem::take(&mut words) });
            }
        }
    }
    found
}

enum Token<'t> {
    /// The line that `nginx -T` puts before each file.
    File(&'t str),
    Word(&'t str),
    Open,
    Close,
    End,
}

/// The first token of a text, and the text behind it.
fn token(text: &str) -> Option<(Token<'_>, &str)> {
    let text = text.trim_start();
    let first = text.chars().next()?;
    let after = &text[first.len_utf8()..];
    match first {
        '{' => Some((Token::Open, after)),
        '}' => Some((Token::Close, after)),
        ';' => Some((Token::End, after)),
        '#' => {
            let (line, after) = text.split_once('\n').unwrap_or((text, ""));
            let path = line.strip_prefix("# configuration file ").and_then(|path| path.strip_suffix(':'));
            path.map_or_else(|| token(after), |path| Some((Token::File(path), after)))
        }
        '"' | '\'' => {
            let end = unescaped(after, |letter| letter == first).unwrap_or(after.len());
            Some((Token::Word(&after[..end]), after.get(end + 1..).unwrap_or_default()))
        }
        _ => {
            let ends = |letter: char| letter.is_whitespace() || "{};".contains(letter);
            let end = unescaped(text, ends).unwrap_or(text.len());
            Some((Token::Word(&text[..end]), &text[end..]))
        }
    }
}

/// Where the first letter is that ends something and has no backslash before it.
fn unescaped(text: &str, ends: impl Fn(char) -> bool) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, letter)| {
        let end = !escaped && ends(letter);
        escaped = !escaped && letter == '\\';
        end.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SITE: &str = "# configuration file /srv/shop/deploy/conf/site.conf:\nserver { listen 80; CONF }\n";

    fn dump(http: &str, other: &str, site: &str) -> String {
        format!(
            "# configuration file /etc/nginx/nginx.conf:\nuser x; # open_file_cache max=9;\nhttp {{\n {http}\n \
             log_format a '$b {{ \\' open_file_cache max=8; }}' \"}}\";\n include /etc/nginx/conf.d/*.conf;\n}}\n\n\
             # configuration file /etc/nginx/conf.d/other.conf:\nserver {{ location ~ \"x{{2}}\" {{ {other} }} }}\n{}",
            SITE.replace("CONF", site)
        )
    }

    #[test]
    fn what_holds_for_all_servers_holds_for_the_site_unless_it_says_otherwise() {
        let cases = [
            ("", "", "", None),
            ("open_file_cache max=100 inactive=20s;", "", "", Some("max=100 inactive=20s")),
            ("open_file_cache\n max=100;", "", "open_file_cache off;", None),
            ("open_file_cache off;", "", "open_file_cache \"max=7\";", Some("max=7")),
            ("", "open_file_cache max=100;", "", None),
            ("open_file_cache_valid 30s;", "", "", None),
        ];
        for (http, other, site, value) in cases {
            let found = in_force(&dump(http, other, site), "/srv/shop/deploy", "open_file_cache");
            assert_eq!(found.as_deref(), value, "{http} {other} {site}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in prop_oneof![any::<String>(), "[a{};'\"\\\\# \n]{0,60}"]) {
            in_force(&text, "/srv/shop/deploy", "a");
            in_force(&format!("# configuration file /srv/shop/deploy/x:\n{text}"), "/srv/shop/deploy", "a");
        }
    }
}
