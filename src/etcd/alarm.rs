//! Alarms: bucket `alarm`, the key is `AlarmMember`, the value empty.

/// An alarm that a member raised.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct AlarmMember {
    /// The member.
    #[prost(uint64, tag = "1")]
    pub member_id: u64,
    /// Which alarm.
    #[prost(enumeration = "AlarmType", tag = "2")]
    pub alarm: i32,
}

/// The alarms there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration, serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[repr(i32)]
pub enum AlarmType {
    /// Never stored.
    None = 0,
    /// The database reached its quota: writes are refused.
    NoSpace = 1,
    /// Members disagree: reads and writes are refused.
    Corrupt = 2,
}
