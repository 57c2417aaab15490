//! Tables for people.

use std::fmt::Write;

/// A table with columns as wide as what is in them; what stands last in a row may be of any length.
pub fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let head = head.iter().map(|&title| title.to_owned()).collect();
    let rows: Vec<Vec<String>> =
        [head].into_iter().chain(rows.map(|row| row.iter().map(|cell| plain(cell)).collect())).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter(|row| row.len() > column + 1).map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let mut text = String::new();
    for row in &rows {
        let Some((last, others)) = row.split_last() else { continue };
        for (column, cell) in others.iter().enumerate() {
            write!(text, "{cell:<0$}  ", width(column)).unwrap_or_default();
        }
        writeln!(text, "{last}").unwrap_or_default();
    }
    text
}

/// What somebody typed may hold what moves the cursor of a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows =
            [vec!["a → b", "2", "done"], vec!["-", "17", "failed: \u{1b}[2J it\ndid"], vec!["no row of its own kind"]];
        let rows = rows.into_iter().map(|row| row.into_iter().map(str::to_owned).collect());
        let expected = "LIVE   N   RESULT\na → b  2   done\n-      17  failed:  [2J it did\nno row of its own kind\n";
        assert_eq!(table(&["LIVE", "N", "RESULT"], rows), expected);
    }
}
