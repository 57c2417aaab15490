//! The terminal of whoever waits: a row for each thing that is being done, below the lines that stay.
//!
//! The cursor rests at the begin of the last row, so that what a terminal echoes, such as `^C`, moves no row.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::termios::tcgetwinsize;

/// How often rows are drawn anew.
const TICK: Duration = Duration::from_millis(100);

/// Where rows are shown, and how many are on the screen.
static SCREEN: OnceLock<Mutex<Screen>> = OnceLock::new();

#[derive(Default)]
struct Screen {
    rows: Vec<Arc<Shown>>,
    drawn: usize,
}

struct Shown {
    name: &'static str,
    since: Instant,
    /// Parts of a whole that is known, or 0.
    whole: AtomicUsize,
    done: AtomicUsize,
}

/// Shows rows from now on, if standard error is a terminal that can take them away again.
pub fn show_rows() {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    if io::stderr().is_terminal() && !dumb {
        SCREEN.get_or_init(Mutex::default);
    }
}

fn screen() -> Option<MutexGuard<'static, Screen>> {
    SCREEN.get().map(|screen| screen.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A row on the terminal, or none where there are none to be seen.
#[derive(Clone, Default)]
pub struct Row(Option<Arc<Shown>>);

impl Row {
    /// One that shows for how long something has been going on.
    pub fn begin(name: &'static str) -> Self {
        let Some(mut screen) = screen() else { return Self(None) };
        let (whole, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let row = Arc::new(Shown { name, since: Instant::now(), whole, done });
        screen.rows.push(row.clone());
        draw_now_and_then();
        Self(Some(row))
    }

    /// From now on it shows how much of a whole is done.
    pub fn of(&self, whole: usize) {
        if let Some(row) = &self.0 {
            row.whole.store(whole, Ordering::Relaxed);
        }
    }

    /// One more part of the whole is done.
    pub fn advance(&self) {
        if let Some(row) = &self.0 {
            row.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes it away.
    pub fn end(&self) {
        if let (Some(row), Some(mut screen)) = (&self.0, screen()) {
            screen.rows.retain(|other| !Arc::ptr_eq(row, other));
            screen.draw(b"").ok();
        }
    }
}

/// Has a thread draw the rows, as long as this process lives.
fn draw_now_and_then() {
    static DRAWS: Once = Once::new();
    DRAWS.call_once(|| {
        let draw = || loop {
            thread::park_timeout(TICK);
            screen().map(|mut screen| screen.draw(b""));
        };
        drop(thread::Builder::new().spawn(draw));
    });
}

impl Screen {
    /// Writes lines that stay, and all rows below them, in one go.
    fn draw(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.drawn + self.rows.len() + lines.len() == 0 {
            return Ok(());
        }
        let width = tcgetwinsize(io::stderr()).map_or(0, |size| usize::from(size.ws_col));
        let mut text = Vec::new();
        if self.drawn > 0 {
            text.extend(b"\r");
        }
        if self.drawn > 1 {
            text.extend(format!("\x1b[{}A", self.drawn - 1).bytes());
        }
        if self.drawn > 0 {
            text.extend(b"\x1b[J");
        }
        text.extend(lines);
        let rows: Vec<String> = self.rows.iter().map(|row| row.text(if width == 0 { 80 } else { width })).collect();
        text.extend(rows.join("\n").bytes());
        if !rows.is_empty() {
            text.extend(b"\r");
        }
        self.drawn = rows.len();
        io::stderr().write_all(&text)
    }
}

impl Shown {
    /// At most so many characters that the cursor stays in the row.
    fn text(&self, width: usize) -> String {
        let mut text = format!("{:<8} ", self.name);
        let (whole, done) = (self.whole.load(Ordering::Relaxed), self.done.load(Ordering::Relaxed));
        if whole == 0 {
            write!(text, "{:.0} s", self.since.elapsed().as_secs_f64()).ok();
        } else {
            let count = format!(" {done} of {whole}");
            let room = width.saturating_sub(text.len() + count.len() + 3).min(40);
            let filled = room * done.min(whole) / whole;
            write!(text, "[{:<room$}]{count}", "=".repeat(filled)).ok();
        }
        text.chars().take(width.saturating_sub(1)).collect()
    }
}

/// Standard error, for lines that stay.
pub struct Lines;

impl Write for Lines {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        match screen() {
            Some(mut screen) => screen.draw(lines).map(|()| lines.len()),
            None => io::stderr().write(lines),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_how_much_is_done_and_is_never_as_wide_as_the_terminal() {
        let (whole, done) = (AtomicUsize::new(4), AtomicUsize::new(1));
        let row = Shown { name: "source", since: Instant::now(), whole, done };
        assert_eq!(row.text(200), format!("source   [{:<40}] 1 of 4", "=".repeat(10)));
        assert_eq!(row.text(30), "source   [==         ] 1 of 4");
        assert_eq!((row.text(12).as_str(), row.text(1).as_str()), ("source   []", ""));
        row.done.store(9, Ordering::Relaxed);
        assert_eq!(row.text(30), "source   [===========] 9 of 4");
        row.whole.store(0, Ordering::Relaxed);
        assert_eq!(row.text(80), "source   0 s");
    }
}
