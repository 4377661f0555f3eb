//! Requests about the cluster: alarms, versions, what members tell about themselves, the v2 store
//! (`api/etcdserverpb/{rpc,etcdserver}.proto`, `api/membershippb`).

use prost::Message;

/// `AlarmRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct AlarmRequest {
    /// 0 get, 1 activate, 2 deactivate.
    #[prost(int32, tag = "1")]
    pub action: i32,
    /// The member.
    #[prost(uint64, tag = "2")]
    pub member_id: u64,
    /// 0 none, 1 no space, 2 corrupt.
    #[prost(int32, tag = "3")]
    pub alarm: i32,
}

/// A request that names a version: `cluster_version_set`, `downgrade_version_test`.
#[derive(Clone, PartialEq, Message)]
pub struct VersionRequest {
    /// As `3.5.0`.
    #[prost(bytes = "vec", tag = "1")]
    pub ver: Vec<u8>,
}

/// `membershippb.Attributes`: what a member tells about itself.
#[derive(Clone, PartialEq, Message)]
pub struct Attributes {
    /// Its name.
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    /// Where clients reach it.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub client_urls: Vec<Vec<u8>>,
}

/// `membershippb.ClusterMemberAttrSetRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct ClusterMemberAttrSetRequest {
    /// The member.
    #[prost(uint64, tag = "1")]
    pub member_id: u64,
    /// Its attributes.
    #[prost(message, optional, tag = "2")]
    pub member_attributes: Option<Attributes>,
}

/// `membershippb.DowngradeInfoSetRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct DowngradeInfoSetRequest {
    /// A downgrade is under way.
    #[prost(bool, tag = "1")]
    pub enabled: bool,
    /// To this version.
    #[prost(bytes = "vec", tag = "2")]
    pub ver: Vec<u8>,
}

/// `Request`: the legacy v2 request, bare or as field 2 (3.4 to 3.6).
#[derive(Clone, PartialEq, Message)]
pub struct V2Request {
    /// The request id.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// PUT, POST, DELETE, QGET, SYNC.
    #[prost(bytes = "vec", tag = "2")]
    pub method: Vec<u8>,
    /// The node.
    #[prost(bytes = "vec", tag = "3")]
    pub path: Vec<u8>,
    /// Its value.
    #[prost(bytes = "vec", tag = "4")]
    pub val: Vec<u8>,
    /// A directory.
    #[prost(bool, tag = "5")]
    pub dir: bool,
    /// Condition.
    #[prost(bytes = "vec", tag = "6")]
    pub prev_value: Vec<u8>,
    /// Condition.
    #[prost(uint64, tag = "7")]
    pub prev_index: u64,
    /// Condition.
    #[prost(bool, optional, tag = "8")]
    pub prev_exist: Option<bool>,
    /// Unix time in nanoseconds.
    #[prost(int64, tag = "9")]
    pub expiration: i64,
    /// Watch.
    #[prost(bool, tag = "10")]
    pub wait: bool,
    /// Watch from this index.
    #[prost(uint64, tag = "11")]
    pub since: u64,
    /// Below it too.
    #[prost(bool, tag = "12")]
    pub recursive: bool,
    /// In order.
    #[prost(bool, tag = "13")]
    pub sorted: bool,
    /// Through the log.
    #[prost(bool, tag = "14")]
    pub quorum: bool,
    /// Unix time in nanoseconds.
    #[prost(int64, tag = "15")]
    pub time: i64,
    /// Keep watching.
    #[prost(bool, tag = "16")]
    pub stream: bool,
    /// Only the expiration.
    #[prost(bool, optional, tag = "17")]
    pub refresh: Option<bool>,
}

impl V2Request {
    /// Whether it is how a member tells its name and its clients' URLs up to 3.5. etcd looks for that anywhere in the
    /// path (`StoreMemberAttributeRegexp` @ v3.5).
    #[must_use]
    pub fn tells_of_a_member(&self) -> bool {
        const MEMBERS: &[u8] = b"/0/members/";
        let tells = |below: &[u8]| {
            let digits = below.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
            let rest = below.get(digits..).unwrap_or_default();
            (1..=16).contains(&digits) && rest.starts_with(b"/attributes")
        };
        let behind = |(at, found): (usize, &[u8])| {
            (found == MEMBERS).then(|| self.path.get(at.saturating_add(MEMBERS.len())..)).flatten()
        };
        self.method == b"PUT" && self.path.windows(MEMBERS.len()).enumerate().filter_map(behind).any(tells)
    }

    /// Whether it is of the two kinds that etcd makes itself, and all that 3.6 takes (`v2ToV3Request` @ v3.6).
    #[must_use]
    pub fn is_etcds_own(&self) -> bool {
        self.tells_of_a_member() || (self.method == b"PUT" && self.path == b"/0/version")
    }
}
