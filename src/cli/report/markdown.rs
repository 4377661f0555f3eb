//! Markdown, for the summary page of a CI job.

use std::fmt::Write;

use coldbolt::ops::verify::policy::RuleSeverity;
use coldbolt::ops::verify::{Outcome, Verdict, Verification};

use super::{Answer, kept, summary, unlisted, verdict, word};

pub fn report(answer: &Answer) -> String {
    let mut out = format!("## coldbolt verify: {}\n\n", summary(answer));
    for unreadable in &answer.unreadable {
        let _ = writeln!(out, "- ❌ {}", text(&unreadable.error));
    }
    for file in &answer.files {
        one(&mut out, &file.verification);
    }
    let _ = writeln!(out, "\ncoldbolt {}", env!("CARGO_PKG_VERSION"));
    out
}

fn one(out: &mut String, file: &Verification) {
    let mark = match file.verdict {
        Verdict::Good => "✅",
        Verdict::Inconclusive => "❔",
        Verdict::Unreadable | Verdict::Bad => "❌",
    };
    let _ = writeln!(
        out,
        "\n### {mark} {}\n\n{}, {}\n",
        text(&file.path),
        text(&file.kind.to_string()),
        text(&verdict(file))
    );
    let _ = writeln!(out, "| Check | Outcome | Detail |\n|---|---|---|");
    for level in file.levels.iter().filter(|l| l.outcome != Outcome::NotApplicable) {
        let _ = writeln!(
            out,
            "| level {} | {} | {} |",
            level.level.name(),
            word(level.outcome),
            text(&level.detail)
        );
    }
    for rule in &file.policy {
        let _ =
            writeln!(out, "| policy {} | {} | {} |", text(&rule.title()), kept(rule), text(&rule.message));
    }
    let broken = file.policy.iter().any(|r| r.passed == Some(false) && r.severity == RuleSeverity::Warning);
    if broken {
        let _ = writeln!(out, "\nRules of severity warning change no verdict.");
    }
    if file.findings.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n| Finding | Severity | Where and what |\n|---|---|---|");
    for finding in &file.findings {
        let at = finding.at.to_string();
        let sep = if at.is_empty() { "" } else { ": " };
        let what = format!("{}: {at}{sep}{}", finding.file, finding.detail);
        let _ = writeln!(out, "| {} | {} | {} |", finding.code, finding.severity, text(&what));
    }
    let more = unlisted(file);
    if more > 0 {
        let _ = writeln!(out, "\n{more} more findings are counted and not listed.");
    }
    let mut codes: Vec<_> = file.finding_counts.keys().collect();
    codes.sort_by_key(|code| std::cmp::Reverse(code.severity()));
    let _ = writeln!(out);
    for code in codes {
        let _ = writeln!(out, "- {code}: {}", text(code.remedy()));
    }
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
