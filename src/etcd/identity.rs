//! Who the members of a new cluster are: ids from names, URLs and a token, as etcd computes them.
//!
//! ```text
//! member id    first 8 bytes, big-endian, of SHA-1 (the member's peer URLs, sorted, one after another; then the token)
//! cluster id   first 8 bytes, big-endian, of SHA-1 (all member ids, 8 bytes big-endian each, ascending)
//! ```
//!
//! Sources: `membership/member.go computeMemberID`, `cluster.go genID`, `config.go VerifyBootstrap`, `urlsmap.go` @
//! v3.6.

use std::collections::BTreeMap;

use sha1::{Digest, Sha1};

use super::peer_url::peer_urls;
use crate::codec::array_at;
use crate::codec::go::go_quote;
use crate::codec::json::{quote, strings};
use crate::words::error::Result;
use crate::words::ids::{ClusterId, MemberId};
use crate::words::refusal::Refusal;

/// A member of a new cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMember {
    /// Its id.
    pub id: MemberId,
    /// Its name.
    pub name: String,
    /// Where the other members reach it, sorted.
    pub peer_urls: Vec<String>,
    /// Whether it only learns.
    pub learner: bool,
}

impl NewMember {
    /// The member as etcd stores it.
    #[must_use]
    pub fn json(&self) -> String {
        let name =
            if self.name.is_empty() { String::new() } else { format!(",\"name\":{}", quote(&self.name)) };
        let learner = if self.learner { ",\"isLearner\":true" } else { "" };
        format!(
            "{{\"id\":{},\"peerURLs\":{}{learner}{name}}}",
            self.id.get(),
            strings(self.peer_urls.iter().map(String::as_str))
        )
    }
}

/// A new cluster: what `--initial-cluster` and `--initial-cluster-token` make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCluster {
    /// Its id.
    pub id: ClusterId,
    /// The token its ids were made with.
    pub token: String,
    /// Its members, in ascending order of their ids.
    pub members: Vec<NewMember>,
}

impl NewCluster {
    /// Reads `name=url,name=url`. A name may come more than once.
    ///
    /// # Errors
    /// [`Error::Refused`](crate::Error::Refused) in etcd's words: a URL that cannot be, or one that comes twice.
    pub fn parse(initial_cluster: &str, token: &str) -> Result<NewCluster> {
        let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for item in initial_cluster.split(',').filter(|item| !item.is_empty()) {
            let (name, url) = item.split_once('=').unwrap_or((item, ""));
            by_name.entry(name).or_default().push(url);
        }
        let mut members = Vec::new();
        for (name, urls) in by_name {
            let peer_urls = peer_urls(urls).map_err(Refusal::PeerUrl)?;
            members.push(NewMember {
                id: member_id(&peer_urls, token),
                name: name.to_owned(),
                peer_urls,
                learner: false,
            });
        }
        members.sort_by_key(|member| member.id);
        Ok(NewCluster { id: cluster_id(members.iter().map(|m| m.id)), token: token.to_owned(), members })
    }

    /// Refuses what etcd refuses of a cluster that none of its members has seen.
    ///
    /// # Errors
    /// [`Error::Refused`](crate::Error::Refused) in etcd's words.
    pub fn check(&self) -> Result<()> {
        let mut urls: Vec<_> = self.members.iter().flat_map(|m| &m.peer_urls).collect();
        let all = urls.len();
        urls.sort();
        urls.dedup();
        if urls.len() < all {
            return Err(Refusal::DuplicateUrl { cluster: self.to_text() }.into());
        }
        if self.members.is_empty() {
            return Err(Refusal::NoMembers.into());
        }
        Ok(())
    }

    /// Makes learners of the members of these names.
    ///
    /// # Errors
    /// [`Error::Refused`](crate::Error::Refused) when there is no such member, or none would be left to vote.
    pub fn make_learners(&mut self, names: &[String]) -> Result<()> {
        for name in names {
            let missing = Refusal::NoSuchLearner { name: go_quote(name.as_bytes()), cluster: self.to_text() };
            let member = self.members.iter_mut().find(|m| m.name == *name).ok_or(missing)?;
            member.learner = true;
        }
        if !names.is_empty() && self.members.iter().all(|m| m.learner) {
            return Err(Refusal::NoVoter.into());
        }
        Ok(())
    }

    /// Those that vote, in ascending order of their ids.
    pub fn voters(&self) -> impl Iterator<Item = &NewMember> {
        self.members.iter().filter(|member| !member.learner)
    }

    /// Those that learn, in ascending order of their ids.
    pub fn learners(&self) -> impl Iterator<Item = &NewMember> {
        self.members.iter().filter(|member| member.learner)
    }

    /// The member of that name, which advertises these peer URLs, separated by commas. Names of hosts are compared as
    /// they are written.
    ///
    /// # Errors
    /// [`Error::Refused`](crate::Error::Refused) in etcd's words when it is not there or its URLs are others.
    pub fn member(&self, name: &str, advertised: &str) -> Result<&NewMember> {
        let advertised = peer_urls(advertised.split(',')).map_err(Refusal::PeerUrl)?;
        let no_such = || Refusal::NoSuchMember { name: go_quote(name.as_bytes()) };
        let member = self.members.iter().find(|m| m.name == name).ok_or_else(no_such)?;
        if member.peer_urls == advertised {
            return Ok(member);
        }
        let missing: Vec<_> = member
            .peer_urls
            .iter()
            .filter(|url| !advertised.contains(url))
            .map(|url| format!("{name}={url}"))
            .collect();
        if !missing.is_empty() {
            let (missing, advertised) = (missing.join(","), advertised.join(","));
            return Err(Refusal::NotAdvertised { missing, advertised }.into());
        }
        let extra: Vec<_> = advertised.into_iter().filter(|url| !member.peer_urls.contains(url)).collect();
        Err(Refusal::NotInCluster { extra: extra.join(","), cluster: self.to_text() }.into())
    }

    /// `name=url,name=url`, sorted.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut pairs: Vec<_> = self
            .members
            .iter()
            .flat_map(|m| m.peer_urls.iter().map(move |url| format!("{}={url}", m.name)))
            .collect();
        pairs.sort();
        pairs.join(",")
    }
}

/// The id of the member with these peer URLs, which are sorted.
#[must_use]
pub fn member_id(peer_urls: &[String], token: &str) -> MemberId {
    let mut hash = Sha1::new();
    peer_urls.iter().for_each(|url| hash.update(url));
    hash.update(token);
    MemberId::new(first_8(hash))
}

/// The id of the cluster with these members, whose ids ascend.
#[must_use]
pub fn cluster_id(member_ids: impl Iterator<Item = MemberId>) -> ClusterId {
    let mut hash = Sha1::new();
    member_ids.for_each(|id| hash.update(id.get().to_be_bytes()));
    ClusterId::new(first_8(hash))
}

fn first_8(hash: Sha1) -> u64 {
    u64::from_be_bytes(array_at(&hash.finalize(), 0).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_etcds() {
        let one = NewCluster::parse("n1=http://127.0.0.1:23980", "tok").unwrap();
        assert_eq!((one.members[0].id.get(), one.id.get()), (0x6835_60a5_2490_4f92, 0x4803_8086_7a1a_cc88));
        let two = NewCluster::parse("x=http://127.0.0.1:32390,y=http://127.0.0.1:32391", "newtok").unwrap();
        assert_eq!(
            two.members.iter().map(|m| m.id.get()).collect::<Vec<_>>(),
            [0x22e2_1fb7_2780_2ba6, 0x52d6_4a12_abd1_ed91]
        );
        assert_eq!(two.id.get(), 0x43a5_1be7_bd29_34b3);
    }

    #[test]
    fn a_member_is_stored_as_go_stores_it() {
        let one = NewCluster::parse("n1=http://127.0.0.1:23980,n1=http://a:1?b&c", "tok").unwrap();
        let id = one.members[0].id.get();
        assert_eq!(
            one.members[0].json(),
            format!(
                r#"{{"id":{id},"peerURLs":["http://127.0.0.1:23980","http://a:1?b\u0026c"],"name":"n1"}}"#
            )
        );
    }

    #[test]
    fn learners_are_some_of_the_members() {
        let cluster = || NewCluster::parse("a=http://a:1,b=http://b:1,c=http://c:1", "t").unwrap();
        let (mut three, name) = (cluster(), |m: &NewMember| m.name.clone());
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        three.make_learners(&names(&["b"])).unwrap();
        assert_eq!(three.learners().map(name).collect::<Vec<_>>(), ["b"]);
        assert_eq!((three.voters().count(), three.id), (2, cluster().id));
        assert!(three.learners().all(|m| m.json().contains(r#""],"isLearner":true,"name":"b"}"#)));
        assert!(cluster().make_learners(&names(&["x"])).unwrap_err().to_string().contains("no such member"));
        assert!(
            cluster()
                .make_learners(&names(&["a", "b", "c"]))
                .unwrap_err()
                .to_string()
                .contains("at least one must vote")
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_in_etcds_words() {
        let member = |cluster: &str, name: &str, urls: &str| {
            let cluster = NewCluster::parse(cluster, "t").and_then(|cluster| {
                cluster.member(name, urls)?;
                cluster.check()
            });
            cluster.unwrap_err().to_string()
        };
        assert_eq!(
            member("a=http://a:1", "b", "http://a:1"),
            "couldn't find local name \"b\" in the initial cluster configuration"
        );
        assert!(
            member("a=http://a:1,a=http://c:1", "a", "http://b:1,http://c:1")
                .starts_with("--initial-cluster has a=http://a:1 but missing from --initial-advertise-peer-urls=http://b:1,http://c:1 (")
        );
        assert!(member("a=http://a:1", "a", "http://a:1,http://c:1").starts_with(
            "--initial-advertise-peer-urls has http://c:1 but missing from --initial-cluster=a=http://a:1 ("
        ));
        assert_eq!(
            member("a=http://a:1,b=http://a:1", "a", "http://a:1"),
            "initial cluster a=http://a:1,b=http://a:1 has duplicate url"
        );
        assert_eq!(member("a", "a", "http://a:1"), "URL scheme must be http, https, unix, or unixs: ");
        assert!(NewCluster::parse(",,", "t").unwrap().check().is_err());
    }
}
