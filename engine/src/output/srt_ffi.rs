//! The few functions of libsrt that outputs call: the only unsafe code of this room. The library is
//! looked up when it is first needed, so that a machine without it runs all other outputs.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;

/// Names under which distributions have the library; FFmpeg's own is taken where it is loaded.
const NAMES: [&CStr; 5] = [
    c"libsrt-gnutls.so.1.5",
    c"libsrt.so.1.5",
    c"libsrt-openssl.so.1.5",
    c"libsrt-gnutls.so.1.4",
    c"libsrt.so.1.4",
];
/// Only what ends the library's work may be written to the terminal (syslog's `LOG_CRIT`).
const LOG_CRIT: c_int = 2;
/// `SRTS_CONNECTED` of `SRT_SOCKSTATUS`.
const CONNECTED: c_int = 5;
/// `SRT_EASYNCRCV` and `SRT_ETIMEOUT` of `SRT_ERRNO`.
const NOTHING_YET: c_int = 6002;
const TIMED_OUT: c_int = 6003;

/// Options of a socket: `SRT_SOCKOPT`.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
pub(crate) enum Setting {
    WaitToReceive = 2,
    SendTimeout = 13,
    Latency = 23,
    Passphrase = 26,
    KeyLength = 27,
    StreamId = 46,
    OnlyIpv6 = 54,
}

type Address = *const libc::sockaddr;

macro_rules! calls {
    ($($name:ident: fn($($argument:ty),*) $(-> $answer:ty)?;)*) => {
        /// The functions, by their names without `srt_`.
        struct Calls { $($name: unsafe extern "C" fn($($argument),*) $(-> $answer)?,)* }

        impl Calls {
            fn from(library: *mut c_void) -> Option<Calls> {
                $(
                    let name = concat!("srt_", stringify!($name), "\0");
                    // SAFETY: the name ends with a zero, and the handle is of an open library, or the
                    // one that means all that are loaded.
                    let $name = unsafe { libc::dlsym(library, name.as_ptr().cast()) };
                    if $name.is_null() {
                        return None;
                    }
                )*
                // SAFETY: these are the types that srt.h declares for these names, in 1.4 and 1.5.
                Some(unsafe { Calls { $($name: std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) $(-> $answer)?>($name),)* } })
            }
        }
    };
}

calls! {
    startup: fn() -> c_int;
    setloglevel: fn(c_int);
    create_socket: fn() -> c_int;
    bind: fn(c_int, Address, c_int) -> c_int;
    listen: fn(c_int, c_int) -> c_int;
    accept: fn(c_int, *mut libc::sockaddr, *mut c_int) -> c_int;
    connect: fn(c_int, Address, c_int) -> c_int;
    close: fn(c_int) -> c_int;
    setsockflag: fn(c_int, c_int, *const c_void, c_int) -> c_int;
    getsockname: fn(c_int, *mut libc::sockaddr, *mut c_int) -> c_int;
    getsockstate: fn(c_int) -> c_int;
    send: fn(c_int, *const c_char, c_int) -> c_int;
    getlasterror: fn(*mut c_int) -> c_int;
    getlasterror_str: fn() -> *const c_char;
    getrejectreason: fn(c_int) -> c_int;
    rejectreason_str: fn(c_int) -> *const c_char;
}

fn calls() -> Option<&'static Calls> {
    static FOUND: OnceLock<Option<Calls>> = OnceLock::new();
    let find = || {
        let calls = Calls::from(libc::RTLD_DEFAULT).or_else(|| {
            // SAFETY: plain names; the library stays loaded for as long as the process.
            let open = |name: &&CStr| unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
            NAMES.iter().map(open).filter(|library| !library.is_null()).find_map(Calls::from)
        })?;
        // SAFETY: both may be called at any time; start-ups are counted by the library.
        unsafe {
            if (calls.startup)() < 0 {
                return None;
            }
            (calls.setloglevel)(LOG_CRIT);
        }
        Some(calls)
    };
    FOUND.get_or_init(find).as_ref()
}

/// What the library says of a call that failed.
#[derive(Debug)]
pub(crate) struct Fault(pub String);

/// A socket; closed with its owner.
pub(crate) struct Socket {
    calls: &'static Calls,
    id: c_int,
}

impl Socket {
    /// A socket of live transmission; `None` where there is no libsrt.
    pub fn new() -> Option<Socket> {
        let calls = calls()?;
        // SAFETY: takes nothing.
        let id = unsafe { (calls.create_socket)() };
        (id >= 0).then_some(Socket { calls, id })
    }

    /// Sets an option that is a number or a truth.
    pub fn set(&self, setting: Setting, value: i32) -> Result<(), Fault> {
        self.set_bytes(setting, &value.to_ne_bytes())
    }

    /// Sets an option that is a text.
    pub fn set_text(&self, setting: Setting, value: &str) -> Result<(), Fault> {
        self.set_bytes(setting, value.as_bytes())
    }

    fn set_bytes(&self, setting: Setting, value: &[u8]) -> Result<(), Fault> {
        let length = c_int::try_from(value.len()).unwrap_or(c_int::MAX);
        // SAFETY: it copies so many bytes before it returns.
        let done =
            unsafe { (self.calls.setsockflag)(self.id, setting as c_int, value.as_ptr().cast(), length) };
        self.check(done)
    }

    /// Takes an address of this machine.
    pub fn bind(&self, to: SocketAddr) -> Result<(), Fault> {
        // SAFETY: the address lives through the call, with its own length.
        self.check(with_address(to, |address, length| unsafe { (self.calls.bind)(self.id, address, length) }))
    }

    /// Lets others call.
    pub fn listen(&self, waiting: i32) -> Result<(), Fault> {
        // SAFETY: plain numbers.
        self.check(unsafe { (self.calls.listen)(self.id, waiting) })
    }

    /// Calls, and waits until the other side answered or the library gave up (3 s).
    pub fn connect(&self, to: SocketAddr) -> Result<(), Fault> {
        // SAFETY: the address lives through the call, with its own length.
        let done =
            with_address(to, |address, length| unsafe { (self.calls.connect)(self.id, address, length) });
        self.check(done).map_err(|fault| self.rejection().unwrap_or(fault))
    }

    /// Why the other side refused, where it said so.
    fn rejection(&self) -> Option<Fault> {
        // SAFETY: plain numbers; the text is the library's own and stays.
        let (reason, text) = unsafe {
            let reason = (self.calls.getrejectreason)(self.id);
            (reason, text_of((self.calls.rejectreason_str)(reason)))
        };
        (reason > 0).then_some(Fault(text))
    }

    /// The next caller of a listening socket that does not wait; `None`: nobody.
    pub fn accept(&self) -> Result<Option<Socket>, Fault> {
        // SAFETY: it may be given no place for the caller's address.
        let id = unsafe { (self.calls.accept)(self.id, std::ptr::null_mut(), std::ptr::null_mut()) };
        if id >= 0 {
            return Ok(Some(Socket { calls: self.calls, id }));
        }
        if self.last_error() == NOTHING_YET { Ok(None) } else { Err(self.fault()) }
    }

    /// The port that it is bound to.
    pub fn port(&self) -> u16 {
        // SAFETY: the storage is large enough for any address, and all zeros are valid for it.
        let (storage, done) = unsafe {
            let mut storage: libc::sockaddr_storage = std::mem::zeroed();
            let mut length = size_of::<libc::sockaddr_storage>() as c_int;
            let place = (&raw mut storage).cast();
            let done = (self.calls.getsockname)(self.id, place, &raw mut length);
            (storage, done)
        };
        if done < 0 {
            return 0;
        }
        // SAFETY: both kinds of addresses fit, and have their port at the same place.
        u16::from_be(unsafe { (*(&raw const storage).cast::<libc::sockaddr_in>()).sin_port })
    }

    /// True while the other side is there.
    pub fn is_connected(&self) -> bool {
        // SAFETY: a plain number.
        unsafe { (self.calls.getsockstate)(self.id) == CONNECTED }
    }

    /// Sends a message; false where no room came within the time that the socket may wait.
    pub fn send(&self, message: &[u8]) -> Result<bool, Fault> {
        let length = c_int::try_from(message.len()).unwrap_or(c_int::MAX);
        // SAFETY: it copies so many bytes before it returns.
        let done = unsafe { (self.calls.send)(self.id, message.as_ptr().cast(), length) };
        if done < 0 && self.last_error() == TIMED_OUT {
            return Ok(false);
        }
        self.check(done).map(|()| true)
    }

    fn check(&self, done: c_int) -> Result<(), Fault> {
        if done < 0 { Err(self.fault()) } else { Ok(()) }
    }

    fn last_error(&self) -> c_int {
        // SAFETY: it may be given no place for the system's own error.
        unsafe { (self.calls.getlasterror)(std::ptr::null_mut()) }
    }

    fn fault(&self) -> Fault {
        // SAFETY: the text is this thread's, and copied before the next call.
        Fault(unsafe { text_of((self.calls.getlasterror_str)()) })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: the socket is this value's own; the library ignores one that is closed already.
        unsafe { (self.calls.close)(self.id) };
    }
}

/// # Safety
/// `text` is null or ends with a zero, and stays until this returns.
unsafe fn text_of(text: *const c_char) -> String {
    if text.is_null() {
        return "failed".to_owned();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().trim().to_owned()
}

fn with_address<T>(address: SocketAddr, call: impl FnOnce(Address, c_int) -> T) -> T {
    let port = address.port().to_be();
    match address.ip() {
        IpAddr::V4(ip) => {
            let found = ipv4(ip, port);
            call((&raw const found).cast(), size_of_val(&found) as c_int)
        }
        IpAddr::V6(ip) => {
            let found = ipv6(ip, port);
            call((&raw const found).cast(), size_of_val(&found) as c_int)
        }
    }
}

fn ipv4(ip: Ipv4Addr, port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port,
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) },
        sin_zero: [0; 8],
    }
}

fn ipv6(ip: Ipv6Addr, port: u16) -> libc::sockaddr_in6 {
    libc::sockaddr_in6 {
        sin6_family: libc::AF_INET6 as libc::sa_family_t,
        sin6_port: port,
        sin6_flowinfo: 0,
        sin6_addr: libc::in6_addr { s6_addr: ip.octets() },
        sin6_scope_id: 0,
    }
}
