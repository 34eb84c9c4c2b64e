//! Whether our DNS server answers: asked as any program would, for what only it can say.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{RData, RecordType};
use servos_mesh::HostName;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::{Listening, Wanted};
use crate::limits::{PROBE_PATIENCE, PROBES};
use crate::zone::absolute;

pub(crate) async fn listening(wanted: &Wanted) -> Listening {
    let (loopback, mesh) =
        tokio::join!(answers(wanted.loopback, &wanted.domain), answers(wanted.address.ipv4(), &wanted.domain));
    Listening { loopback, mesh }
}

async fn answers(address: Ipv4Addr, domain: &HostName) -> bool {
    for _ in 0..PROBES {
        match timeout(PROBE_PATIENCE, ask(address, domain)).await {
            Ok(Ok(answered)) => return answered,
            // A closed port, or no such address: nothing to wait for.
            Ok(Err(_)) => return false,
            Err(_) => {}
        }
    }
    false
}

/// Whether the server there has authority over the mesh's domain.
async fn ask(address: Ipv4Addr, domain: &HostName) -> io::Result<bool> {
    let zone = absolute(domain.as_str()).ok_or_else(|| io::Error::other("the domain fits no DNS name"))?;
    let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    message.add_query(Query::query(zone.clone(), RecordType::SOA));
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.connect(SocketAddrV4::new(address, 53)).await?;
    socket.send(&message.to_vec().map_err(io::Error::other)?).await?;
    let mut buffer = [0; 512];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let Ok(answer) = Message::from_vec(&buffer[..length]) else { continue };
        if answer.metadata.id == message.metadata.id {
            let is_soa =
                answer.answers.iter().any(|record| record.name == zone && matches!(record.data, RData::SOA(_)));
            return Ok(answer.metadata.authoritative && is_soa);
        }
    }
}
