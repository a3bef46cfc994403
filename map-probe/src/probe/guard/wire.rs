//! What map-probe and its guard say to each other: one message a packet, with descriptors where it needs some.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::probe::attach::{Placed, Way};

/// A larger request there is none, in bytes: 1,280 places are the most, 100 bytes each.
pub(super) const MAX_REQUEST: usize = 160 << 10;
/// And no larger reply.
pub(super) const MAX_REPLY: usize = 4 << 10;
/// The most descriptors of a message.
const MAX_FDS: usize = 3;

/// What the guard is asked to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Makes places of a file ready for a program. With it come the program, the file, and the gate if there is one.
    Prepare {
        /// How this kernel attaches.
        way: Way,
        /// The process that is probed.
        pid: u32,
        /// Where.
        places: Vec<Placed>,
        /// Whether the target's code is changed there: not so for what is nowhere in it.
        in_target: bool,
    },
    /// Says in which order the places of a set are attached, by their numbers; the last `busy` have a link of their own.
    Order {
        set: u64,
        order: Vec<u32>,
        busy: usize,
    },
    /// Attaches a set, for at most this time in nanoseconds. The reply comes when its probes are live.
    Attach { set: u64, time: Option<u64> },
    /// Detaches what was attached under this number. There is no reply.
    Detach { attached: u64 },
    /// Asks for a reply when everything that is being detached is gone.
    Settle,
    /// Takes a set back that is not attached.
    Forget { set: u64 },
    /// Takes away breakpoints at these places of a process that nobody uses. With it comes the file.
    Sweep {
        way: Way,
        pid: u32,
        places: Vec<Placed>,
    },
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// The number of a new set.
    Set(u64),
    /// A set is attached.
    Attached {
        /// Under this number.
        number: u64,
        /// The links it has.
        parts: usize,
        /// The CPU time that took, in nanoseconds.
        cpu: u64,
        /// When its probes were live (`CLOCK_MONOTONIC`, in nanoseconds).
        time: u64,
    },
    /// Done.
    Done,
    /// It could not be done.
    Refused(Refused),
}

/// At what it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    /// Something of our own.
    Internal,
    /// The kernel's file system of events cannot be used.
    Tracefs,
    /// The kernel refused to attach.
    Attach,
}

/// Why the guard could not do it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Refused {
    pub(super) stage: Stage,
    /// The kernel's error, if it is one.
    errno: Option<i32>,
    text: String,
}

impl Refused {
    pub(super) fn new(stage: Stage, error: &io::Error) -> Self {
        Self {
            stage,
            errno: error.raw_os_error(),
            text: error.to_string(),
        }
    }

    /// The error as it was.
    pub(super) fn error(&self) -> io::Error {
        match self.errno {
            Some(errno) => io::Error::from_raw_os_error(errno),
            None => io::Error::other(self.text.clone()),
        }
    }
}

/// Both ends of a connection.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        flags,
    )?)
}

/// Sends a message with some descriptors.
pub(super) fn send<T: Serialize>(
    socket: BorrowedFd<'_>,
    message: &T,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let fds: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let rights = if fds.is_empty() { &[] } else { &rights[..] };
    loop {
        let sent = sendmsg::<()>(
            socket.as_raw_fd(),
            &[IoSlice::new(&bytes)],
            rights,
            MsgFlags::MSG_NOSIGNAL,
            None,
        );
        match sent {
            Err(nix::Error::EINTR) => {}
            other => return other.map(|_| ()).map_err(io::Error::from),
        }
    }
}

/// Receives a message with its descriptors, into a buffer that has room for it; `None` if the other side has ended.
pub(super) fn receive<T: DeserializeOwned>(
    socket: &impl AsFd,
    bytes: &mut [u8],
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut space = cmsg_space!([RawFd; MAX_FDS]);
    let (count, fds) = loop {
        let mut into = [IoSliceMut::new(bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(
            socket.as_fd().as_raw_fd(),
            &mut into,
            Some(&mut space),
            flags,
        ) {
            Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
            Ok(message) => {
                let mut fds = Vec::new();
                for control in message.cmsgs()? {
                    if let ControlMessageOwned::ScmRights(received) = control {
                        // SAFETY: the kernel has just made them for us.
                        let owned = |fd| unsafe { OwnedFd::from_raw_fd(fd) };
                        fds.extend(received.into_iter().map(owned));
                    }
                }
                break (message.bytes, fds);
            }
        }
    };
    if count == 0 {
        return Ok(None);
    }
    let message = serde_json::from_slice(bytes.get(..count).unwrap_or_default())?;
    Ok(Some((message, fds)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read as _, Seek as _, Write as _};

    #[test]
    fn a_message_arrives_with_its_descriptors() {
        let (ours, theirs) = pair().expect("sockets");
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"here").expect("written");
        let request = Request::Attach { set: 7, time: None };
        send(ours.as_fd(), &request, &[file.as_fd(), file.as_fd()]).expect("sent");
        let (request, mut fds): (Request, _) = receive(&theirs, &mut [0; 100])
            .expect("received")
            .expect("a message");
        assert!(matches!(request, Request::Attach { set: 7, .. }));
        let mut same = File::from(fds.pop().expect("two"));
        assert_eq!(fds.len(), 1);
        same.rewind().expect("a file");
        let mut text = String::new();
        same.read_to_string(&mut text).expect("read");
        assert_eq!(text, "here");
        drop(ours);
        let end = receive::<Request>(&theirs, &mut [0; 100]);
        assert!(end.expect("the end").is_none());
    }

    #[test]
    fn the_largest_message_fits() {
        let (ours, theirs) = pair().expect("sockets");
        let place = Placed {
            offset: u64::MAX,
            address: u64::MAX,
            cookie: u64::MAX,
        };
        let request = Request::Sweep {
            way: Way::Link,
            pid: u32::MAX,
            places: vec![place; 1280],
        };
        let sender = std::thread::spawn(move || send(ours.as_fd(), &request, &[]));
        let mut buffer = vec![0; MAX_REQUEST];
        let received = receive::<Request>(&theirs, &mut buffer).expect("received");
        sender.join().expect("no panic").expect("sent");
        assert!(
            matches!(received, Some((Request::Sweep { places, .. }, _)) if places.len() == 1280)
        );
    }
}
