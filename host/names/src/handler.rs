//! From a request to its response: who asks, whose question it is, and what is sent back.

use std::sync::Arc;

use async_trait::async_trait;
use hickory_proto::op::{Edns, Header, HeaderCounts, LowerQuery, MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, RecordType};
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::sync::Semaphore;
use tracing::dispatcher::Dispatch;
use tracing::instrument::WithSubscriber;
use tracing::{debug, trace};

use crate::clients::{Client, Clients};
use crate::counters::Counters;
use crate::fit::fit;
use crate::forwarder::{Flags, Forwarder, NoAnswer};
use crate::limits::{CONCURRENT_REQUESTS, PLAIN_UDP_PAYLOAD, UDP_PAYLOAD};
use crate::plugin_answers::{Answered, Moment, PluginAnswers, PluginQuestion};
use crate::rebinding::without_mesh_addresses;
use crate::reply::Reply;
use crate::route::{Route, route};

/// Answers requests; shared by all listeners.
#[derive(Clone)]
pub(crate) struct Handler(Arc<Inner>);

struct Inner {
    clients: Clients,
    plugins: PluginAnswers,
    forwarder: Arc<Forwarder>,
    turns: Semaphore,
    counters: Arc<Counters>,
}

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, response: R) -> ResponseInfo {
        let counters = &self.0.counters;
        counters.queries.add(1);
        let client = self.0.clients.who(request.src().ip());
        let reply = match self.0.turns.try_acquire() {
            Ok(_turn) => self.0.reply(request, client).await,
            Err(_) => {
                counters.overloaded.add(1);
                Arc::new(Reply::bare(ResponseCode::ServFail))
            }
        };
        match reply.code {
            ResponseCode::Refused => counters.refused.add(1),
            ResponseCode::ServFail => counters.servfail.add(1),
            _ => {}
        }
        trace!(source = %request.src(), code = %reply.code, answers = reply.answers.len(), "answered");
        send(request, response, &reply, client).await
    }
}

impl Handler {
    pub(crate) fn new(
        clients: Clients,
        plugins: PluginAnswers,
        forwarder: Arc<Forwarder>,
        counters: Arc<Counters>,
    ) -> Self {
        Self(Arc::new(Inner { clients, plugins, forwarder, turns: Semaphore::new(CONCURRENT_REQUESTS), counters }))
    }
}

impl Inner {
    async fn reply(&self, request: &Request, client: Client) -> Arc<Reply> {
        let query = match readable(request) {
            Ok(query) => query,
            Err(code) => return Arc::new(Reply::bare(code)),
        };
        if client == Client::Stranger || !is_lookup(query) {
            return Arc::new(Reply::bare(ResponseCode::Refused));
        }
        let moment = self.plugins.moment();
        let answered = match self.plugins.known(&moment, query.name(), query.query_type()) {
            Some(known) => known,
            None => self.look_up(&moment, query).await,
        };
        match answered {
            Answered::Reply(reply) => reply,
            Answered::Forward if client == Client::Local => Arc::new(self.forward(request, query).await),
            Answered::Forward => Arc::new(Reply::bare(ResponseCode::Refused)),
        }
    }

    async fn look_up(&self, moment: &Moment, query: &LowerQuery) -> Answered {
        let (name, record_type) = (query.name(), query.query_type());
        let table = &moment.mesh.table;
        let setting = self.plugins.setting(moment);
        let domain = table.domain().as_str();
        let reply = match route(name, record_type, domain, |host| table.service_by_host(host).is_some()) {
            Route::Forward => return Answered::Forward,
            Route::Plugins { question, zone, otherwise } => {
                return self.plugins.ask(moment, PluginQuestion { name, record_type, question, zone, otherwise }).await;
            }
            Route::Localhost => Reply::localhost(name, record_type, setting),
            Route::Apex(zone) => Reply::apex(&zone, name, record_type, setting),
            Route::Empty(zone) => Reply::no_data(&zone, setting),
            Route::Nowhere(zone) => Reply::no_such_name(&zone, setting),
        };
        Answered::Reply(Arc::new(reply))
    }

    async fn forward(&self, request: &Request, query: &LowerQuery) -> Reply {
        let flags = Flags {
            recursion_desired: request.metadata.recursion_desired,
            checking_disabled: request.metadata.checking_disabled,
            edns: request.edns.as_ref().map(|edns| edns.flags().dnssec_ok),
        };
        self.counters.forwarded.add(1);
        let mut answer = match self.forwarder.ask(query.original(), flags).await {
            Ok(answer) => answer,
            Err(NoAnswer::Overloaded) => {
                self.counters.overloaded.add(1);
                return Reply::bare(ResponseCode::ServFail);
            }
            Err(NoAnswer::Upstreams) => {
                self.counters.upstream_failures.add(1);
                return Reply::bare(ResponseCode::ServFail);
            }
        };
        for section in [&mut answer.answers, &mut answer.additionals] {
            let (kept, dropped) = without_mesh_addresses(std::mem::take(section));
            *section = kept;
            if dropped > 0 {
                self.counters.rebinding_dropped.add(dropped);
                debug!(name = %query.name(), dropped, "an upstream answered with addresses of the mesh");
            }
        }
        Reply::forwarded(answer)
    }
}

/// The one question of a request that this server can read.
fn readable(request: &Request) -> Result<&LowerQuery, ResponseCode> {
    if request.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
        return Err(ResponseCode::BADVERS);
    }
    if request.metadata.op_code != OpCode::Query {
        return Err(ResponseCode::NotImp);
    }
    match request.queries.queries() {
        [query] => Ok(query),
        _ => Err(ResponseCode::FormErr),
    }
}

/// Whether a question looks one thing up, as opposed to asking for all there is, or for what is in no zone.
fn is_lookup(query: &LowerQuery) -> bool {
    let meta = matches!(
        query.query_type(),
        RecordType::ANY
            | RecordType::AXFR
            | RecordType::IXFR
            | RecordType::OPT
            | RecordType::TSIG
            | RecordType::ZERO
            // The rest of the types that are only asked for (RFC 6895 §3.1).
            | RecordType::Unknown(128..=255)
    );
    query.query_class() == DNSClass::IN && !meta
}

async fn send<R: ResponseHandler>(request: &Request, mut response: R, reply: &Reply, client: Client) -> ResponseInfo {
    let edns = request.edns.as_ref().map(|asked| {
        let mut edns = Edns::new();
        edns.set_max_payload(asked.max_payload().clamp(PLAIN_UDP_PAYLOAD, UDP_PAYLOAD));
        edns.set_dnssec_ok(asked.flags().dnssec_ok);
        edns
    });
    let limit = match (request.protocol(), &edns) {
        (Protocol::Udp, Some(edns)) => edns.max_payload(),
        (Protocol::Udp, None) => PLAIN_UDP_PAYLOAD,
        _ => u16::MAX,
    };
    let fitted = fit(reply, &request.queries, limit);
    let mut metadata = Metadata::response_from_request(&request.metadata);
    metadata.response_code = reply.code;
    metadata.authoritative = reply.authoritative;
    metadata.authentic_data = reply.authentic;
    metadata.recursion_available = client == Client::Local;
    metadata.truncation = fitted.truncated;
    let message = MessageResponseBuilder::new(&request.queries, edns.as_ref()).build(
        metadata,
        fitted.answers,
        fitted.authority,
        [],
        fitted.additionals,
    );
    // The library logs each response at INFO, which is for what an operator wants to read.
    let sent = response.send_response(message).with_subscriber(Dispatch::none()).await;
    sent.unwrap_or_else(|error| {
        debug!(%error, source = %request.src(), "cannot send a response");
        let mut metadata = Metadata::new(request.metadata.id, MessageType::Response, OpCode::Query);
        metadata.response_code = ResponseCode::ServFail;
        ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() })
    })
}
