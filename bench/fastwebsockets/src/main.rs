//! Holds WebSocket connections with fastwebsockets, a task each, and counts the records that come.
//!
//! It speaks to weir's comparisons by lines, as bench/clientline describes: it says that it is ready, dials when it is told
//! to, says when all are open, and how many records have come, until its standard input ends.

use fastwebsockets::{OpCode, Role, WebSocket};
use std::env;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// What a record's frame begins with; other messages of the gateway begin otherwise.
const RECORD: &[u8] = b"{\"type\":\"message\"";
const COUNT_EVERY: Duration = Duration::from_millis(200);

struct Options {
    address: String,
    path: String,
    channels: Vec<String>,
    connections: usize,
    dialling: usize,
}

#[derive(Default)]
struct Counts {
    open: AtomicU64,
    ended: AtomicU64,
    taken: Vec<Taken>,
}

/// What one connection has taken, in a cache line of its own: a counter that all share would cost a message more than much of
/// what is compared. Only the connection's task writes it.
#[derive(Default)]
#[repr(align(64))]
struct Taken {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Taken {
    fn took(&self, length: usize) {
        self.messages.store(self.messages.load(Relaxed) + 1, Relaxed);
        self.bytes.store(self.bytes.load(Relaxed) + length as u64, Relaxed);
    }
}

fn main() {
    let options = options().unwrap_or_else(|why| {
        eprintln!("fastwebsockets-client: {why}");
        std::process::exit(2);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("start the runtime");
    tell("ready", &Counts::default());
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    // Whoever started it lets go of standard input to end it.
    std::thread::spawn(|| {
        let mut rest = String::new();
        while std::io::stdin().read_line(&mut rest).unwrap_or(0) > 0 {}
        std::process::exit(0);
    });
    runtime.block_on(hold(options));
}

async fn hold(options: Options) {
    let taken = (0..options.connections).map(|_| Taken::default()).collect();
    let counts = Arc::new(Counts { taken, ..Counts::default() });
    let gate = Arc::new(Semaphore::new(options.dialling));
    let total = options.connections as u64;
    let options = Arc::new(options);
    for number in 0..options.connections {
        let permit = gate.clone().acquire_owned().await.expect("the gate is never closed");
        let (options, counts) = (options.clone(), counts.clone());
        tokio::spawn(async move {
            let channel = &options.channels[number % options.channels.len()];
            let socket = match dial(&options.address, &options.path, channel).await {
                Ok(socket) => socket,
                Err(why) => {
                    eprintln!("fastwebsockets-client: connection {number}: {why}");
                    std::process::exit(1);
                }
            };
            drop(permit);
            drop(options);
            counts.open.fetch_add(1, Relaxed);
            read(socket, &counts.taken[number]).await;
            counts.ended.fetch_add(1, Relaxed);
        });
    }
    drop(options);
    let mut told = false;
    let mut tick = tokio::time::interval(COUNT_EVERY);
    loop {
        tick.tick().await;
        if !told && counts.open.load(Relaxed) == total {
            told = true;
            tell("open", &counts);
        }
        tell("count", &counts);
    }
}

/// Opens a connection. The answer is looked at before it is taken, so that no byte behind it is.
async fn dial(address: &str, path: &str, channel: &str) -> Result<TcpStream, String> {
    let mut socket = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
    socket.set_nodelay(true).map_err(|e| e.to_string())?;
    let request = format!(
        "GET {path}?channel={channel} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.map_err(|e| e.to_string())?;
    let mut answer = [0u8; 1024];
    loop {
        let n = socket.peek(&mut answer).await.map_err(|e| e.to_string())?;
        if n == 0 {
            return Err("the gateway closed it instead of an answer".into());
        }
        if let Some(end) = answer[..n].windows(4).position(|w| w == b"\r\n\r\n") {
            socket.read_exact(&mut answer[..end + 4]).await.map_err(|e| e.to_string())?;
            if !answer.starts_with(b"HTTP/1.1 101") {
                return Err(String::from_utf8_lossy(&answer[..end]).into_owned());
            }
            return Ok(socket);
        }
        if n == answer.len() {
            return Err("the answer's head is longer than 1 KiB".into());
        }
        tokio::task::yield_now().await;
    }
}

async fn read(socket: TcpStream, taken: &Taken) {
    let mut connection = WebSocket::after_handshake(socket, Role::Client);
    while let Ok(frame) = connection.read_frame().await {
        match frame.opcode {
            OpCode::Text | OpCode::Binary if frame.payload.starts_with(RECORD) => {
                taken.took(frame.payload.len());
            }
            OpCode::Close => return,
            _ => {}
        }
    }
}

fn tell(state: &str, counts: &Counts) {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_nanos();
    let mut out = std::io::stdout().lock();
    let line = format!(
        "{{\"state\":\"{state}\",\"at_ns\":{at},\"open\":{},\"messages\":{},\"bytes\":{},\"ended\":{}}}\n",
        counts.open.load(Relaxed),
        counts.taken.iter().map(|t| t.messages.load(Relaxed)).sum::<u64>(),
        counts.taken.iter().map(|t| t.bytes.load(Relaxed)).sum::<u64>(),
        counts.ended.load(Relaxed)
    );
    if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}

/// Reads -url ws://HOST:PORT/PATH, -channels A,B,…, -connections N and -dialling N.
fn options() -> Result<Options, String> {
    let (mut url, mut channels, mut connections, mut dialling) = (String::new(), String::new(), 0, 64);
    let mut args = env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse::<usize>().map_err(|e| format!("{name} {value}: {e}"));
        match name.as_str() {
            "-url" => url = value,
            "-channels" => channels = value,
            "-connections" => connections = number()?,
            "-dialling" => dialling = number()?,
            _ => return Err(format!("{name} is no flag of this program")),
        }
    }
    let rest = url.strip_prefix("ws://").ok_or_else(|| format!("-url {url:?} does not begin with ws://"))?;
    let (address, path) = rest.split_once('/').ok_or_else(|| format!("-url {url:?} has no path"))?;
    if channels.is_empty() || connections == 0 || dialling == 0 {
        return Err("-channels, -connections and -dialling must be given, and not 0".into());
    }
    Ok(Options {
        address: address.into(),
        path: format!("/{path}"),
        channels: channels.split(',').map(String::from).collect(),
        connections,
        dialling,
    })
}
