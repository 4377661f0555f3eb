//! `leases`, `auth`, `alarms`, `members`: etcd's small buckets in words.

use std::io::Write;

use coldbolt::MemberId;
use coldbolt::etcd::Facts;
use coldbolt::words::error::Told;
use serde_json::{Value, json};

use super::context::{Context, Done, Fail, Verdict};
use super::keyspace::File;
use super::out::{Form, clean, count, json, plain_table};

/// List the leases, and how many live keys are attached to each.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt leases backup.db
  coldbolt leases backup.db --keys")]
pub struct LeasesArgs {
    #[command(flatten)]
    common: Common,
    /// Name the attached keys too, the first hundred of each lease.
    #[arg(long)]
    keys: bool,
}

/// Show whether authentication is on, the users and their roles, the roles and what they permit. Never password hashes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  coldbolt auth backup.db")]
pub struct AuthArgs {
    #[command(flatten)]
    common: Common,
}

/// List the alarms that are raised.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  coldbolt alarms backup.db")]
pub struct AlarmsArgs {
    #[command(flatten)]
    common: Common,
}

/// List the members of the cluster as the database has them.
///
/// Databases of etcd 3.5.1 to 3.5.19 may have outdated URLs here; up to 3.5 the raft snapshot is what counts
/// (`coldbolt snap show`).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  coldbolt members backup.db")]
pub struct MembersArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    file: File,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
}

/// Writes the facts as a document of that schema, or as text in which nothing steers a terminal.
fn show(
    common: &Common,
    out: &mut dyn Write,
    schema: &str,
    fields: Value,
    text: impl FnOnce() -> String,
) -> Result<Verdict, Fail> {
    match common.write_out {
        Form::Json => {
            let mut document = json!({ "schema": schema });
            if let (Value::Object(document), Value::Object(fields)) = (&mut document, fields) {
                document.extend(fields);
            }
            json(out, &document)?;
        }
        Form::Table => writeln!(out, "{}", clean(text().trim_end()))?,
    }
    Ok(Verdict::Good)
}

pub fn leases(args: &LeasesArgs, context: &mut Context<'_>) -> Done {
    args.common.file.with(context, |store, out| {
        let Facts { leases, .. } = store.facts_with_leases(if args.keys { 100 } else { 0 })?;
        show(&args.common, out, "coldbolt.leases/1", json!({ "leases": leases }), || {
            if leases.is_empty() {
                return "no leases".to_owned();
            }
            let rows = leases.iter().map(|lease| {
                let left =
                    if lease.remaining_ttl == 0 { "-".to_owned() } else { lease.remaining_ttl.to_string() };
                [
                    lease.id.padded(),
                    lease.ttl.to_string(),
                    left,
                    count(lease.attached.unwrap_or(0)),
                    lease.keys.join(" "),
                ]
            });
            plain_table(
                ["LEASE", "TTL (s)", "LEFT (s)", "KEYS", if args.keys { "ATTACHED" } else { "" }],
                rows,
            )
        })
    })
}

pub fn auth(args: &AuthArgs, context: &mut Context<'_>) -> Done {
    args.common.file.with(context, |store, out| {
        let auth = store.facts()?.auth;
        show(&args.common, out, "coldbolt.auth/1", json!({ "auth": auth }), || {
            let revision = auth.revision.map_or_else(|| "none".to_owned(), |revision| revision.to_string());
            let mut text = format!(
                "authentication is {}, revision {revision}\n",
                if auth.enabled { "on" } else { "off" }
            );
            let users = auth.users.iter().map(|user| {
                let login = if user.has_password { "password" } else { "certificate only" };
                [user.name.clone(), login.to_owned(), user.roles.join(", ")]
            });
            if !auth.users.is_empty() {
                text += &format!("\n{}\n", plain_table(["USER", "LOGIN", "ROLES"], users));
            }
            let permissions = auth.roles.iter().flat_map(|role| {
                let none = role
                    .permissions
                    .is_empty()
                    .then(|| [role.name.clone(), "-".to_owned(), String::new(), String::new()]);
                let rows = role.permissions.iter().map(|p| {
                    let what = p
                        .permission
                        .map_or_else(|| "UNKNOWN".to_owned(), |p| format!("{p:?}").to_lowercase());
                    [role.name.clone(), what, p.key.clone(), p.range_end.clone()]
                });
                none.into_iter().chain(rows).collect::<Vec<_>>()
            });
            if !auth.roles.is_empty() {
                text += &format!("\n{}\n", plain_table(["ROLE", "PERMITS", "KEY", "RANGE END"], permissions));
            }
            text
        })
    })
}

pub fn alarms(args: &AlarmsArgs, context: &mut Context<'_>) -> Done {
    args.common.file.with(context, |store, out| {
        let Facts { alarms, .. } = store.facts()?;
        show(&args.common, out, "coldbolt.alarms/1", json!({ "alarms": alarms }), || {
            if alarms.is_empty() {
                return "no alarms".to_owned();
            }
            let rows = alarms.iter().map(|alarm| {
                [
                    alarm.alarm.map_or_else(|| "UNKNOWN".to_owned(), |a| format!("{a:?}").to_uppercase()),
                    alarm.member_id.padded(),
                ]
            });
            plain_table(["ALARM", "MEMBER"], rows)
        })
    })
}

pub fn members(args: &MembersArgs, context: &mut Context<'_>) -> Done {
    args.common.file.with(context, |store, out| {
        let Facts { members, removed_members, conf_state, cluster_version, .. } = store.facts()?;
        let fields = json!({
            "cluster_version": cluster_version,
            "members": members,
            "removed_members": removed_members,
            "conf_state": conf_state,
        });
        show(&args.common, out, "coldbolt.members/1", fields, || {
            let role = |id: MemberId, learner: bool| match &conf_state {
                _ if learner => "learner",
                Some(conf) if conf.voters.contains(&id) => "voter",
                Some(conf) if conf.learners.contains(&id) => "learner",
                Some(_) => "not in the raft configuration",
                None => "-",
            };
            let rows = members.iter().map(|m| {
                let name = if m.name.is_empty() { "(unnamed)".to_owned() } else { m.name.to_string() };
                let (peers, clients) = (Told::list(&m.peer_urls), Told::list(&m.client_urls));
                [m.id.padded(), name, role(m.id, m.is_learner).to_owned(), peers, clients]
            });
            let mut text = plain_table(["MEMBER", "NAME", "ROLE", "PEER URLS", "CLIENT URLS"], rows);
            let removed: Vec<String> = removed_members.iter().map(|id| id.padded()).collect();
            if !removed.is_empty() {
                text += &format!("\nremoved: {}", removed.join(", "));
            }
            text
        })
    })
}
