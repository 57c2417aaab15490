//! The terminal of whoever waits: below the lines that stay, a row for each thing that is being done, with its parts, and
//! then one for each that waits for its turn.
//!
//! The cursor rests at the begin of the line below, so that what a terminal echoes, such as `^C`, moves no row, and a shell
//! that comes back because the process was killed has a line for itself.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::termios::tcgetwinsize;

/// How often rows are drawn anew.
const TICK: Duration = Duration::from_millis(100);

/// Lines and columns of a terminal that does not tell.
const USUAL: (usize, usize) = (24, 80);

/// Where rows are shown.
static SCREEN: OnceLock<Mutex<Screen>> = OnceLock::new();

#[derive(Default)]
struct Screen {
    /// What waits comes last.
    rows: Vec<Arc<Shown>>,
    /// How many are on the terminal.
    drawn: usize,
}

#[derive(Default)]
struct Shown {
    name: &'static str,
    /// When it began, unless it waits.
    since: OnceLock<Instant>,
    /// Whether it was shown before it began.
    planned: bool,
    /// Whether it is a part of something that was planned.
    part: bool,
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
    /// One of something that is going to be done, below all others.
    pub fn wait(name: &'static str) -> Self {
        Self::show(|screen| {
            screen.rows.push(Arc::new(Shown { name, planned: true, ..Shown::default() }));
            screen.rows.last().cloned()
        })
    }

    /// One that shows for how long something has been going on, above what waits.
    pub fn begin(name: &'static str) -> Self {
        Self::show(|screen| {
            let part = screen.rows.iter().any(|row| row.planned && row.since.get().is_some());
            let row = Arc::new(Shown { name, since: Instant::now().into(), part, ..Shown::default() });
            let waiting = screen.rows.iter().position(|row| row.since.get().is_none()).unwrap_or(screen.rows.len());
            screen.rows.insert(waiting, row.clone());
            Some(row)
        })
    }

    fn show(row: impl FnOnce(&mut Screen) -> Option<Arc<Shown>>) -> Self {
        let row = Self(screen().and_then(|mut screen| row(&mut screen)));
        if row.0.is_some() {
            draw_now_and_then();
        }
        row
    }

    /// What it waited for begins.
    pub fn start(&self) {
        if let Some(row) = &self.0 {
            row.since.get_or_init(Instant::now);
        }
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
        let size = tcgetwinsize(io::stderr()).map_or((0, 0), |size| (size.ws_row.into(), size.ws_col.into()));
        let text = self.frame(lines, size);
        io::stderr().write_all(&text)
    }

    /// What takes the rows away that are on the terminal, and puts lines that stay and the rows of now in their place. Of rows
    /// for which so many lines have no room the last are left out: those above the top could not be taken away again.
    fn frame(&mut self, lines: &[u8], (height, width): (usize, usize)) -> Vec<u8> {
        let (height, width) = (if height == 0 { USUAL.0 } else { height }, if width == 0 { USUAL.1 } else { width });
        let mut text = Vec::new();
        if self.drawn > 0 {
            text.extend(format!("\r\x1b[{}A\x1b[J", self.drawn).bytes());
        }
        text.extend(lines);
        let rows = self.rows.iter().take(height - 1);
        self.drawn = rows.len();
        rows.for_each(|row| text.extend(format!("{}\n", row.text(width)).bytes()));
        text
    }
}

impl Shown {
    /// At most so many characters that the terminal breaks no line.
    fn text(&self, width: usize) -> String {
        let mut text = format!("{}{:<8} ", if self.part { "  " } else { "" }, self.name);
        let (whole, done) = (self.whole.load(Ordering::Relaxed), self.done.load(Ordering::Relaxed));
        match self.since.get() {
            None => text += "waits",
            Some(since) if whole == 0 => write!(text, "{:.0} s", since.elapsed().as_secs_f64()).unwrap_or_default(),
            Some(_) => {
                let count = format!(" {done} of {whole}");
                let room = width.saturating_sub(text.len() + count.len() + 3).min(40);
                let filled = room * done.min(whole) / whole;
                write!(text, "[{:<room$}]{count}", "=".repeat(filled)).unwrap_or_default();
            }
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

    fn row(name: &'static str) -> Shown {
        Shown { name, since: Instant::now().into(), ..Shown::default() }
    }

    #[test]
    fn a_row_tells_how_much_is_done_and_is_never_as_wide_as_the_terminal() {
        let row = Shown { whole: 4.into(), done: 1.into(), ..row("source") };
        assert_eq!(row.text(200), format!("source   [{:<40}] 1 of 4", "=".repeat(10)));
        assert_eq!(row.text(30), "source   [==         ] 1 of 4");
        assert_eq!((row.text(12).as_str(), row.text(1).as_str()), ("source   []", ""));
        row.done.store(9, Ordering::Relaxed);
        assert_eq!(row.text(30), "source   [===========] 9 of 4");
        row.whole.store(0, Ordering::Relaxed);
        assert_eq!(row.text(80), "source   0 s");
        assert_eq!(Shown { part: true, ..row }.text(80), "  source   0 s");
        assert_eq!(Shown { name: "swap", ..Shown::default() }.text(80), "swap     waits");
    }

    #[test]
    fn rows_take_the_place_of_those_before_and_never_more_than_the_terminal_has() {
        let mut screen = Screen::default();
        let frame =
            |screen: &mut Screen, lines: &str, size| String::from_utf8(screen.frame(lines.as_bytes(), size)).unwrap();
        assert_eq!(frame(&mut screen, "one\n", (24, 80)), "one\n");
        screen.rows = vec![Arc::new(row("create")), Arc::new(Shown { name: "swap", ..Shown::default() })];
        assert_eq!(frame(&mut screen, "", (0, 0)), "create   0 s\nswap     waits\n");
        assert_eq!(frame(&mut screen, "two\n", (3, 9)), "\r\u{1b}[2A\u{1b}[Jtwo\ncreate  \nswap    \n");
        assert_eq!(frame(&mut screen, "", (2, 80)), "\r\u{1b}[2A\u{1b}[Jcreate   0 s\n");
        assert_eq!(frame(&mut screen, "", (1, 80)), "\r\u{1b}[1A\u{1b}[J");
        assert_eq!(frame(&mut screen, "three\n", (1, 80)), "three\n");
    }
}
