//! How members that run stand, as `etcdctl endpoint status` tells it.

use coldbolt::live::{Answered, Standing};
use coldbolt::words::error::Told;
use serde_json::{Value, json};

use super::super::context::{Context, Done, Fail, Verdict};
use super::super::out::{WriteOut, json as print_json, size, table};
use super::Members;

/// Asks each member, and prints what it says.
pub fn status(members: &Members, form: WriteOut, context: &mut Context<'_>) -> Done {
    if form == WriteOut::Fields {
        return Err(Fail::Usage(
            "--write-out fields goes with FILE; of endpoints there are simple, table and json".to_owned(),
        ));
    }
    let standings = members.cluster(context.monitor)?.standings();
    for standing in &standings {
        if let Err(why) = &standing.answer {
            let error = coldbolt::Error::unreadable(standing.endpoint.to_string().as_ref(), why.clone());
            context.monitor.warn(&format!("Error: {}", super::super::hint::error(&error)));
        }
    }
    let answered = || standings.iter().filter_map(|s| Some((s, s.answer.as_ref().ok()?)));
    match form {
        WriteOut::Json => print_json(
            context.out,
            &document(&standings, members.verified(standings.iter().map(|s| &s.endpoint))),
        )?,
        WriteOut::Table => {
            let header = [
                "ENDPOINT", "ID", "VERSION", "SIZE", "IN USE", "REVISION", "ROLE", "TERM", "INDEX",
                "APPLIED", "ERRORS",
            ];
            let rows = answered().map(|(standing, member)| row(standing, member));
            writeln!(context.out, "{}", table(header, rows))?;
        }
        WriteOut::Simple | WriteOut::Fields => {
            for (standing, member) in answered() {
                writeln!(context.out, "{}", row(standing, member).join(", ").trim_end_matches(", "))?;
            }
        }
    }
    if form != WriteOut::Json {
        members.warn(context.out)?;
    }
    Ok(judge(&standings))
}

fn row(standing: &Standing, member: &Answered) -> [String; 11] {
    [
        standing.endpoint.to_string(),
        member.member.to_string(),
        member.version.to_string(),
        size(member.db_size),
        size(member.db_size_in_use),
        member.revision.to_string(),
        role(member).to_owned(),
        member.term.to_string(),
        member.raft_index.to_string(),
        member.applied().to_string(),
        Told::list(&member.errors),
    ]
}

fn role(member: &Answered) -> &'static str {
    match (member.leads(), member.is_learner) {
        (true, _) => "leader",
        (_, true) => "learner",
        _ if member.leader.is_none() => "no leader",
        _ => "follower",
    }
}

/// Bad is what etcd itself calls an error, and members of different clusters.
fn judge(standings: &[Standing]) -> Verdict {
    let answered = || standings.iter().filter_map(|s| s.answer.as_ref().ok());
    let bad = |member: &Answered| !member.errors.is_empty() || member.leader.is_none();
    let clusters = answered().any(|member| answered().any(|other| other.cluster != member.cluster));
    if clusters || answered().any(bad) {
        Verdict::Bad
    } else if answered().count() < standings.len() {
        Verdict::Unreadable
    } else {
        Verdict::Good
    }
}

fn document(standings: &[Standing], verified: bool) -> Value {
    let one = |standing: &Standing| {
        let took = standing.took.as_secs_f64();
        match &standing.answer {
            Ok(answer) => {
                json!({"endpoint": standing.endpoint, "took": took, "role": role(answer), "status": answer})
            }
            Err(why) => json!({"endpoint": standing.endpoint, "took": took, "error": why.to_string()}),
        }
    };
    json!({
        "schema": "coldbolt.endpoint-status/1",
        "servers_verified": verified,
        "endpoints": standings.iter().map(one).collect::<Vec<_>>(),
    })
}
