//! Whether a build answers well enough: each page as it must, and soon.

use std::collections::BTreeMap;
use std::time::Duration;

use super::config::Page;

/// How many answers of a warm build are timed at least: fewer say little of the slowest in twenty.
const TIMED: usize = 40;

/// As many characters of a page as an error shows.
const EXCERPT: usize = 300;

/// What is wrong with an answer; `expect` are the statuses that are good where the page names none.
///
/// # Errors
/// What came, and what was wanted.
pub fn check(page: &Page, expect: &[u16], status: u16, body: &str) -> Result<(), String> {
    let expect = page.expect.as_deref().unwrap_or(expect);
    let path = &page.path;
    if !expect.contains(&status) {
        let expect: Vec<String> = expect.iter().map(u16::to_string).collect();
        return Err(format!("{path} answered {status}, expected {}", expect.join(", ")));
    }
    match &page.contains {
        Some(text) if !body.contains(text.as_str()) => Err(format!(
            "{path} answered {status} without {text:?}, which it must contain; it begins with: {}",
            excerpt(body)
        )),
        _ => Ok(()),
    }
}

/// The begin of a page on one line.
fn excerpt(body: &str) -> String {
    let words = body.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.take(EXCERPT).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(EXCERPT) {
        _ if line.is_empty() => "(nothing)".into(),
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

/// The requests by which a warm build is timed, as the numbers of `pages`: those before the second number do not count.
///
/// A worker is slow once more where it answers a page for the first time, so each page is asked for as often as there are
/// workers before it counts: they are asked at the same time, and most likely each answers once.
pub fn timed(pages: usize, workers: usize) -> (Vec<usize>, usize) {
    let first = (0..pages).flat_map(|page| std::iter::repeat_n(page, workers));
    let rounds = TIMED.div_ceil(pages.max(1));
    let counted = (0..rounds).flat_map(|_| 0..pages);
    (first.chain(counted).collect(), pages * workers)
}

/// How long the answers of a page took, each.
pub type Times = BTreeMap<String, Vec<Duration>>;

/// What 95 of 100 answers do not exceed.
pub fn p95(times: &Times) -> Duration {
    percentile(times.values().flatten().copied().collect(), 95)
}

/// The smallest of some times that `percent` of 100 do not exceed.
pub fn percentile(mut times: Vec<Duration>, percent: usize) -> Duration {
    times.sort_unstable();
    let at = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(at).copied().unwrap_or_default()
}

/// Which pages are how slow, the slowest first.
pub fn slowest(times: &Times) -> String {
    let mut pages: Vec<(Duration, &str)> =
        times.iter().map(|(path, times)| (percentile(times.clone(), 95), path.as_str())).collect();
    pages.sort_unstable_by(|one, other| other.cmp(one));
    pages.iter().map(|(time, path)| format!("{path} {} ms", time.as_millis())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(expect: Option<&[u16]>, contains: Option<&str>) -> Page {
        Page { path: "/cart".into(), expect: expect.map(<[u16]>::to_vec), contains: contains.map(str::to_owned) }
    }

    #[test]
    fn an_answer_must_be_as_its_page_wants_it() {
        let long = format!("<h1>\n  Oh {}", "é".repeat(400));
        let cases = [
            (page(None, None), 302, "", Ok(())),
            (page(None, None), 404, "", Err("/cart answered 404, expected 200, 302".to_owned())),
            (page(Some(&[404]), None), 404, "", Ok(())),
            (page(Some(&[404]), None), 200, "", Err("/cart answered 200, expected 404".into())),
            (page(None, Some("a Basket")), 200, "<p>Not a Basket\n", Ok(())),
            (
                page(None, Some("Basket")),
                200,
                &long,
                Err(format!(
                    "/cart answered 200 without \"Basket\", which it must contain; it begins with: <h1> Oh {} …",
                    "é".repeat(292)
                )),
            ),
            (
                page(None, Some("x")),
                200,
                " \u{1b}\n",
                Err("/cart answered 200 without \"x\", which it must contain; it begins with: (nothing)".into()),
            ),
        ];
        for (page, status, body, expected) in cases {
            assert_eq!(check(&page, &[200, 302], status, body), expected, "{page:?} {status}");
        }
    }

    #[test]
    fn every_page_is_asked_for_before_it_counts_and_at_least_forty_answers_do() {
        assert_eq!(timed(2, 3).0[..8], [0, 0, 0, 1, 1, 1, 0, 1]);
        for (pages, workers, first, counted) in [(1, 1, 1, 40), (2, 3, 6, 40), (3, 4, 12, 42), (50, 2, 100, 50)] {
            let (requests, uncounted) = timed(pages, workers);
            assert_eq!((uncounted, requests.len() - uncounted), (first, counted), "{pages} {workers}");
        }
    }

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        let ms = |times: &[u64]| times.iter().copied().map(Duration::from_millis).collect::<Vec<_>>();
        let hundred: Vec<u64> = (1..=100).rev().collect();
        let forty: Vec<u64> = (1..=40).collect();
        for (times, percent, expected) in [
            (ms(&hundred), 95, 95),
            (ms(&hundred), 50, 50),
            (ms(&hundred), 100, 100),
            (ms(&forty), 95, 38),
            (ms(&[3, 1, 2]), 50, 2),
            (ms(&[7]), 95, 7),
            (ms(&[]), 95, 0),
        ] {
            assert_eq!(percentile(times.clone(), percent), Duration::from_millis(expected), "{percent} of {times:?}");
        }
        let times = Times::from([("/".into(), ms(&[1; 39])), ("/cart".into(), ms(&[400, 500]))]);
        assert_eq!(p95(&times), Duration::from_millis(1));
        assert_eq!(slowest(&times), "/cart 500 ms, / 1 ms");
    }
}
