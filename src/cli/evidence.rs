mod sign;

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use coldbolt::Error;
use coldbolt::io::dest::dir::{DestDir, Steps};
use coldbolt::io::{dest, os};
use coldbolt::ops::evidence::{
    CaseChange, CaseCheck, CaseInput, CaseManifest, CaseStep, CaseTool, MANIFEST, SCHEMA, SIGNATURE,
    case_files, changes, check, digest,
};
use coldbolt::words::monitor::Monitor as _;
use jiff::Timestamp;
use minisign::SecretKey;
use serde_json::json;

use self::sign::Signed;
use super::context::{Context, Done, Fail, Verdict};
use super::exit;
use super::out::{Form, clean, count, json as print_json, plain_table, size};
use super::progress::Terminal;

/// Put together a case: what a file or data directory holds, and the proof that nothing in it was changed.
///
/// The SHA-256 of every file is taken, then what is below is run, each on the same input, and its answer kept; then
/// the digests are taken again. A manifest has them all, what was run and how it ended, and the digest of this program
/// itself. Its own SHA-256 is printed: write that down, or have the manifest signed with a key of minisign (--sign). No
/// data of a Secret is in a case; with --against it has the fields of other objects that changed.
///
/// Exit code 1 if the input changed meanwhile, or with --check if something is not as the manifest says; 3 if no
/// command could read anything; 4 if there was no file to look at, or a command failed or was ended by a signal. How
/// each command ended otherwise is in the manifest and changes nothing: a damaged file makes a case too.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt evidence /evidence/etcd -o case-17/
  coldbolt evidence after.db --against before.db -o case-18/
  coldbolt evidence --check case-17/
  coldbolt evidence --check case-17/ /evidence/etcd
  coldbolt evidence backup.db -o case-19/ --sign minisign.key
  coldbolt evidence --check case-19/ --public-key minisign.pub")]
pub struct Args {
    /// Snapshot file, database or data directory. With --check: what a case was made of, to compare it again.
    #[arg(value_name = "PATH", required_unless_present = "check")]
    path: Option<PathBuf>,
    /// The directory of the case to make; must not exist.
    #[arg(short, long, value_name = "CASE", required_unless_present = "check")]
    output: Option<PathBuf>,
    /// An older file of the same cluster: what changed since is in the case too. With --check: compare that again, too.
    #[arg(long, value_name = "OLDER", requires = "path")]
    against: Option<PathBuf>,
    /// Compare a case with its manifest instead, and PATH, if it is given, with what it was.
    #[arg(long, value_name = "CASE", conflicts_with = "output")]
    check: Option<PathBuf>,
    /// Sign the manifest with this secret key of minisign, into manifest.json.minisig beside it; `minisign -V` checks
    /// it too.
    #[arg(long, value_name = "KEY", conflicts_with = "check")]
    sign: Option<PathBuf>,
    /// The password that opens the key: the one line of this file [default: the key is not closed].
    #[arg(long, value_name = "FILE", requires = "sign")]
    sign_password_file: Option<PathBuf>,
    /// With --check: the public key of minisign, in a file, by which the manifest must be signed.
    #[arg(long, value_name = "FILE", requires = "check")]
    public_key: Option<PathBuf>,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
}

/// What is run: the file that the answer is kept in, and the arguments; PATH and OLDER stand for the inputs, FILE and
/// DIR for the first if it is that.
const STEPS: [(&str, &str); 16] = [
    ("inspect.txt", "inspect PATH"),
    ("inspect.json", "inspect PATH -w json"),
    ("verify.txt", "verify PATH"),
    ("verify.json", "verify PATH -w json"),
    ("hashkv.json", "hashkv FILE -w json"),
    ("keys.ndjson", "keys PATH -w ndjson"),
    ("keys-with-log.ndjson", "keys DIR --fold -w ndjson"),
    ("events.ndjson", "events PATH -w ndjson"),
    ("carved.ndjson", "carve PATH -w ndjson"),
    ("timeline.ndjson", "timeline PATH -w ndjson"),
    ("kube-security.json", "kube security PATH -w json"),
    ("kube-secrets.json", "kube secrets PATH -w json"),
    ("kube-encryption.json", "kube encryption PATH -w json"),
    ("diff.ndjson", "diff OLDER PATH -w ndjson"),
    ("kube-diff.ndjson", "kube diff OLDER PATH -w ndjson"),
    ("kube-security-new.json", "kube diff --security OLDER PATH -w json"),
];

pub fn run(args: &Args, globals: &[OsString], context: &mut Context<'_>) -> Done {
    if args.public_key.is_some() && args.check.is_none() {
        return Err(Fail::Usage("--public-key is for --check: a case is signed with --sign".to_owned()));
    }
    if let Some(case) = &args.check {
        return checked(args, case, context);
    }
    let (Some(path), Some(output)) = (&args.path, &args.output) else {
        return Err(Fail::Usage("PATH and -o CASE are needed".to_owned()));
    };
    let inputs: Vec<&PathBuf> = std::iter::once(path).chain(&args.against).collect();
    if inputs.iter().any(|input| **input == Path::new("-")) {
        return Err(Fail::Usage("standard input cannot be proven unchanged: give a file".to_owned()));
    }
    let inputs = inputs.into_iter().map(|input| real(input)).collect::<Result<Vec<_>, _>>()?;
    for input in &inputs {
        dest::outside(input, output)?;
    }
    // A key that does not open is told before the work.
    let password = args.sign_password_file.as_deref();
    let key = args.sign.as_deref().map(|file| sign::key(file, password, context.monitor)).transpose()?;
    let manifest = Case { globals, monitor: context.monitor, key: key.as_ref() }.make(&inputs, output)?;
    let digest = digest(output, &output.join(MANIFEST), context.monitor)?.sha256;
    match args.write_out {
        Form::Table => table(&manifest, output, &digest, context.out)?,
        Form::Json => {
            let answer = json!({"case": output, "manifest_sha256": digest, "manifest": manifest});
            print_json(context.out, &answer)?;
        }
    }
    let changed = manifest.inputs.iter().any(|input| !input.changed.is_empty());
    // Of a directory without files nothing was looked at.
    let nothing = manifest.inputs.iter().any(|input| input.before.is_empty());
    let of_steps = of_steps(&manifest.steps, context.monitor);
    Ok(match (changed, nothing) {
        (true, _) => Verdict::Bad,
        (false, true) => Verdict::Inconclusive,
        (false, false) => of_steps,
    })
}

/// What the commands' ends are for the case: whether there are answers in it, and whole ones.
fn of_steps(steps: &[CaseStep], monitor: &Terminal) -> Verdict {
    // What was ended from outside has an answer that is cut.
    let cut = steps.iter().filter(|step| step.exit_code.is_none()).count();
    if cut > 0 {
        monitor.say(&format!("{cut} answers are cut: their commands were ended by a signal"));
    }
    let with = |codes: &'static [u8]| {
        let code = |step: &&CaseStep| codes.iter().any(|code| step.exit_code == Some(i32::from(*code)));
        steps.iter().filter(code).count()
    };
    if with(&[exit::IO]) == steps.len() {
        monitor.say("no command could read anything: there are no answers in this case");
        return Verdict::Unreadable;
    }
    let failed = with(&[exit::USAGE, exit::FAULT]);
    if failed > 0 {
        monitor.say(&format!("{failed} answers are not there: their commands failed"));
    }
    if cut + failed > 0 { Verdict::Inconclusive } else { Verdict::Good }
}

/// The path from the root, as the case may be read elsewhere.
fn real(path: &Path) -> Result<PathBuf, Fail> {
    path.canonicalize().map_err(|error| Error::unreadable(path, error).into())
}

struct Case<'c> {
    globals: &'c [OsString],
    monitor: &'c Terminal,
    key: Option<&'c SecretKey>,
}

impl Case<'_> {
    fn make(&self, inputs: &[PathBuf], output: &Path) -> Result<CaseManifest, Fail> {
        let began = Timestamp::now();
        let mut dir = DestDir::create(output, Steps::free())?;
        let program = env::current_exe().map_err(|error| Error::unreadable(Path::new("coldbolt"), error))?;
        let sha256 = digest(Path::new(""), &program, self.monitor)?.sha256;
        let mut before = Vec::new();
        for input in inputs {
            before.push(case_files(input, self.monitor)?);
        }
        let mut steps = Vec::new();
        for (answer, words) in STEPS {
            if let Some(arguments) = arguments(words, inputs) {
                steps.push(self.step(&program, dir.partial(), answer, arguments)?);
            }
        }
        let answer = |name| digest(dir.partial(), &dir.partial().join(name), self.monitor);
        let files = answers(&steps).map(answer).collect::<Result<Vec<_>, _>>()?;
        let mut manifest = CaseManifest {
            schema: SCHEMA.to_owned(),
            tool: CaseTool { version: format!("coldbolt {}", env!("CARGO_PKG_VERSION")), sha256 },
            began: began.to_string(),
            ended: String::new(),
            inputs: Vec::new(),
            steps,
            files,
        };
        for (path, before) in inputs.iter().zip(before) {
            let changed = changes(&before, &case_files(path, self.monitor)?);
            manifest.inputs.push(CaseInput { path: path.display().to_string(), before, changed });
        }
        manifest.ended = Timestamp::now().to_string();
        let mut text = Vec::new();
        print_json(&mut text, &manifest)?;
        dir.write(Path::new(MANIFEST), &text)?;
        if let Some(key) = self.key {
            let comment = format!("{SCHEMA} ended:{} file:{MANIFEST}", manifest.ended);
            dir.write(Path::new(SIGNATURE), sign::sign(&text, key, &comment)?.as_bytes())?;
        }
        dir.place()?;
        Ok(manifest)
    }

    /// Runs this program itself, as anybody may do again.
    fn step(
        &self,
        program: &Path,
        dir: &Path,
        answer: &str,
        arguments: Vec<OsString>,
    ) -> Result<CaseStep, Fail> {
        self.monitor.begin(&format!("{answer}: working"), 0);
        let said = format!("{answer}.stderr");
        let output = |name: &str| {
            let path = dir.join(name);
            os::create(&path).map_err(|source| Error::Output { what: path.display().to_string(), source })
        };
        let (out, err) = (output(answer)?, output(&said)?);
        let mut command = Command::new(program);
        let arguments: Vec<OsString> = self.globals.iter().cloned().chain(arguments).collect();
        command.args(["--progress", "never"]).args(&arguments);
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let status = command.status().map_err(|error| Error::unreadable(program, error))?;
        let path = dir.join(&said);
        let silent = path.metadata().is_ok_and(|metadata| metadata.len() == 0);
        if silent {
            std::fs::remove_file(&path).map_err(|source| Error::Output { what: said.clone(), source })?;
        }
        self.monitor.end();
        Ok(CaseStep {
            arguments: arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
            answer: answer.to_owned(),
            said: (!silent).then_some(said),
            exit_code: status.code(),
        })
    }
}

/// The words with the inputs in their places; nothing if one is not there.
fn arguments(words: &str, inputs: &[PathBuf]) -> Option<Vec<OsString>> {
    let word = |word| match word {
        "FILE" => inputs.first().filter(|path| !path.is_dir()).map(|path| path.clone().into_os_string()),
        "DIR" => inputs.first().filter(|path| path.is_dir()).map(|path| path.clone().into_os_string()),
        "PATH" => inputs.first().map(|path| path.clone().into_os_string()),
        "OLDER" => inputs.get(1).map(|path| path.clone().into_os_string()),
        word => Some(word.into()),
    };
    words.split(' ').map(word).collect()
}

/// The files of a case that steps made.
fn answers(steps: &[CaseStep]) -> impl Iterator<Item = &str> {
    steps.iter().flat_map(|step| std::iter::once(&*step.answer).chain(step.said.as_deref()))
}

fn table(manifest: &CaseManifest, case: &Path, digest: &str, out: &mut dyn Write) -> io::Result<()> {
    let rows = manifest.steps.iter().map(|step| {
        let file = manifest.files.iter().find(|file| file.path == step.answer);
        let code = step.exit_code.map_or_else(|| "signal".to_owned(), |code| code.to_string());
        [step.answer.clone(), file.map_or_else(String::new, |file| size(file.size)), code]
    });
    writeln!(out, "{}\n", plain_table(["ANSWER", "SIZE", "EXIT CODE"], rows))?;
    for input in &manifest.inputs {
        let files = files(input.before.len() as u64);
        let name = clean(&input.path);
        match input.changed.is_empty() {
            true => writeln!(out, "{name}: unchanged, {files} by SHA-256 and time")?,
            false => writeln!(out, "{name}: CHANGED while it was read")?,
        }
        for change in &input.changed {
            writeln!(out, "  {}: {}", clean(&change.path), clean(&change.how))?;
        }
    }
    writeln!(out, "{}: SHA-256 {digest}", clean(&case.join(MANIFEST).display().to_string()))
}

fn files(n: u64) -> String {
    format!("{} {}", count(n), if n == 1 { "file" } else { "files" })
}

fn checked(args: &Args, case: &Path, context: &mut Context<'_>) -> Done {
    let inputs: Vec<&PathBuf> = args.path.iter().chain(&args.against).collect();
    let result = check(case, &inputs, context.monitor)?;
    let signed =
        args.public_key.as_deref().map(|key| sign::check(case, &result.manifest, key)).transpose()?;
    match args.write_out {
        Form::Table => {
            told(&result, case, args.path.as_deref(), context.out)?;
            let signature = clean(&case.join(SIGNATURE).display().to_string());
            match &signed {
                Some(Ok(Signed { key, comment })) => {
                    writeln!(context.out, "{signature}: signed by key {key}: {}", clean(comment))?;
                }
                Some(Err(why)) => {
                    writeln!(context.out, "{signature}: NOT signed by this key: {}", clean(why))?
                }
                None if result.signed => {
                    writeln!(context.out, "{signature}: not checked, --public-key says by whom it must be")?;
                }
                None => {}
            }
        }
        Form::Json => {
            let signature = signed.as_ref().map(|signed| match signed {
                Ok(signed) => json!(signed),
                Err(why) => json!({ "wrong": why }),
            });
            let document =
                json!({"schema": "coldbolt.case-check/1", "check": result, "signature": signature});
            print_json(context.out, &document)?;
        }
    }
    let good =
        result.changes.is_empty() && result.input_changes.is_empty() && !matches!(signed, Some(Err(_)));
    // Who emptied a case emptied its manifest.
    let nothing = result.files == 0 || !inputs.is_empty() && result.input_files == 0;
    Ok(match (good, nothing) {
        (false, _) => Verdict::Bad,
        (true, true) => Verdict::Inconclusive,
        (true, false) => Verdict::Good,
    })
}

fn told(result: &CaseCheck, case: &Path, input: Option<&Path>, out: &mut dyn Write) -> io::Result<()> {
    let about = |out: &mut dyn Write, path: &Path, files: u64, all: &[_]| {
        let path = clean(&path.display().to_string());
        match all {
            [] => writeln!(out, "{path}: as it was, {} by SHA-256", self::files(files)),
            all => {
                writeln!(out, "{path}: NOT as it was")?;
                all.iter().try_for_each(|change: &CaseChange| {
                    writeln!(out, "  {}: {}", clean(&change.path), clean(&change.how))
                })
            }
        }
    };
    about(out, case, result.files, &result.changes)?;
    if let Some(input) = input {
        about(out, input, result.input_files, &result.input_changes)?;
    }
    writeln!(out, "{}: SHA-256 {}", clean(&case.join(MANIFEST).display().to_string()), result.manifest_sha256)
}
