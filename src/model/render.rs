//! Fills the `{{placeholders}}` of the templates in `skel/`.

/// The text of a template with each `{{key}}` replaced by its value.
///
/// Templates are part of the binary, so a placeholder without a value is a mistake in this program: it stays visible,
/// and a test looks for it.
pub fn render(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_owned(), |text, (key, value)| text.replace(&format!("{{{{{key}}}}}"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_everywhere() {
        assert_eq!(render("{{a}} {{b}} {{a}} {c}", &[("a", "1"), ("b", "2")]), "1 2 1 {c}");
    }
}
