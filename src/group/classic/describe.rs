//! What DescribeGroups and ListGroups tell of a classic group.

use super::{ClassicGroup, Member, State};
use odradek_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use odradek_protocol::messages::list_groups_response::ListedGroup;

impl ClassicGroup {
    /// Metadata and assignments are told of a stable group only.
    pub fn describe(&self) -> DescribedGroup {
        let protocol = self.protocol.as_ref().filter(|_| self.state == State::Stable);
        let member = |member: &Member| DescribedGroupMember {
            member_id: member.id.clone(),
            group_instance_id: member.instance.clone(),
            client_id: member.client.id.clone(),
            client_host: member.client.host.clone(),
            member_metadata: protocol.map(|protocol| member.metadata(protocol)).unwrap_or_default(),
            member_assignment: member.given().clone(),
            ..Default::default()
        };
        DescribedGroup {
            group_id: self.id.clone(),
            group_state: self.state.name().into(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol_data: protocol.cloned().unwrap_or_default(),
            members: self.members.values().map(member).collect(),
            ..Default::default()
        }
    }

    pub fn list(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.clone(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            group_state: self.state.name().into(),
            group_type: "classic".into(),
            ..Default::default()
        }
    }
}
