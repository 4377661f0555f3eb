//! Markdown, for the summary page of a CI job.

use std::io::{self, Write};

use crate::ops::verify::policy::RuleSeverity;
use crate::ops::verify::{Answer, Outcome, Verdict, Verification};

use super::{kept, summary, unlisted, verdict, word};

/// Writes a table of levels and rules for each input, and its findings.
///
/// # Errors
/// What `out` fails with.
pub fn write(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "## coldbolt verify: {}\n", summary(answer))?;
    for unreadable in &answer.unreadable {
        writeln!(out, "- ❌ {}", text(&unreadable.error))?;
    }
    for file in &answer.files {
        one(out, &file.verification)?;
    }
    writeln!(out, "\ncoldbolt {}", env!("CARGO_PKG_VERSION"))
}

fn one(out: &mut dyn Write, file: &Verification) -> io::Result<()> {
    let mark = match file.verdict {
        Verdict::Good => "✅",
        Verdict::Inconclusive => "❔",
        Verdict::Unreadable | Verdict::Bad => "❌",
    };
    let kind = file.kind.to_string();
    writeln!(out, "\n### {mark} {}\n\n{}, {}\n", text(&file.path), text(&kind), text(&verdict(file)))?;
    writeln!(out, "| Check | Outcome | Detail |\n|---|---|---|")?;
    for level in file.levels.iter().filter(|l| l.outcome != Outcome::NotApplicable) {
        writeln!(
            out,
            "| level {} | {} | {} |",
            level.level.name(),
            word(level.outcome),
            text(&level.detail)
        )?;
    }
    for rule in &file.policy {
        writeln!(out, "| policy {} | {} | {} |", text(&rule.title()), kept(rule), text(&rule.message))?;
    }
    let broken = file.policy.iter().any(|r| r.passed == Some(false) && r.severity == RuleSeverity::Warning);
    if broken {
        writeln!(out, "\nRules of severity warning change no verdict.")?;
    }
    if file.findings.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| Finding | Severity | Where and what |\n|---|---|---|")?;
    for finding in &file.findings {
        let at = finding.at.to_string();
        let sep = if at.is_empty() { "" } else { ": " };
        let what = format!("{}: {at}{sep}{}", finding.file, finding.detail);
        writeln!(out, "| {} | {} | {} |", finding.code, finding.severity, text(&what))?;
    }
    let more = unlisted(file);
    if more > 0 {
        writeln!(out, "\n{more} more findings are counted and not listed.")?;
    }
    writeln!(out)?;
    for (code, severity, _) in file.codes() {
        writeln!(out, "- {code}: {}", text(code.remedy_of(severity)))?;
    }
    Ok(())
}

/// Text that means nothing to Markdown or HTML.
fn text(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Also in a table cell, where a backslash does not help everywhere.
            '|' => out.push_str("&#124;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '~' | '$' | '@' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_is_markup_afterwards() {
        assert_eq!(
            super::text("a|b\n<script>`x`[y](z) *c* \u{1b}[0m\\"),
            "a&#124;b &lt;script&gt;\\`x\\`\\[y\\](z) \\*c\\*  \\[0m\\\\"
        );
    }
}
