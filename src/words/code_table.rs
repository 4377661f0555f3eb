//! Makes the enum of codes, and what can be asked of each, of the table in `codes.rs`.

macro_rules! codes {
    ($(
        $variant:ident, $name:literal, $severity:ident, $level:ident,
        $meaning:literal, $etcd:literal, $remedy:literal;
    )*) => {
        /// The stable name of a kind of finding. [`meaning`](Code::meaning), [`etcd`](Code::etcd) and
        /// [`remedy`](Code::remedy) explain it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the layers they come from.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The stable kebab-case name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name),* }
            }

            /// How bad it is unless the place it is found in says otherwise.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Code::$variant => Severity::$severity),* }
            }

            /// Whether `bbolt check` and `etcdutl snapshot status` call a file bad for it, which etcd runs on.
            #[must_use]
            pub fn is_refused_elsewhere(self) -> bool {
                matches!(self, Code::PageLeaked)
            }

            /// The level of a verification that finds it.
            #[must_use]
            pub fn level(self) -> Level {
                match self { $(Code::$variant => Level::$level),* }
            }

            /// One sentence: what it means.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $meaning),* }
            }

            /// One sentence: what etcd and its tools do about it.
            #[must_use]
            pub fn etcd(self) -> &'static str {
                match self { $(Code::$variant => $etcd),* }
            }

            /// One sentence: what to do.
            #[must_use]
            pub fn remedy(self) -> &'static str {
                match self { $(Code::$variant => $remedy),* }
            }

            /// What to do where a finding is as bad as this: nothing where it is only a note of what mostly is more.
            #[must_use]
            pub fn remedy_of(self, severity: Severity) -> &'static str {
                if severity == Severity::Note && self.severity() > severity {
                    "Nothing, for the reason that the finding tells."
                } else {
                    self.remedy()
                }
            }
        }
    };
}
