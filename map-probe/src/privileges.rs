//! What this process may do, and who stands in its way: capabilities, namespaces and settings of the kernel.

use std::fs;

use nix::unistd::geteuid;

/// How all capabilities are given that it takes to watch any process: the first two are for the kernel side, the others for
/// processes of other users, whose files in `/proc` are theirs alone.
const SETCAP: &str =
    "setcap cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search+ep $(which map-probe)";

/// Capabilities by their numbers (`linux/capability.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Capability {
    DacOverride = 1,
    DacReadSearch = 2,
    SysPtrace = 19,
    SysAdmin = 21,
    Perfmon = 38,
    Bpf = 39,
}

impl Capability {
    /// Its name without `CAP_`.
    const fn name(self) -> &'static str {
        match self {
            Self::DacOverride => "DAC_OVERRIDE",
            Self::DacReadSearch => "DAC_READ_SEARCH",
            Self::SysPtrace => "SYS_PTRACE",
            Self::SysAdmin => "SYS_ADMIN",
            Self::Perfmon => "PERFMON",
            Self::Bpf => "BPF",
        }
    }

    /// The one that includes it.
    const fn stronger(self) -> Self {
        match self {
            Self::DacReadSearch => Self::DacOverride,
            Self::Bpf | Self::Perfmon => Self::SysAdmin,
            other => other,
        }
    }
}

/// What the kernel says of this process, and of what it lets any process do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Privileges {
    /// The effective capabilities, one a bit.
    effective: u64,
    is_root: bool,
    /// Its capabilities are of a user namespace, not of the system.
    in_user_namespace: bool,
    /// Lockdown keeps BPF from reading memory.
    is_confidential: bool,
    /// `kernel.yama.ptrace_scope`.
    ptrace_scope: Option<u32>,
    /// `kernel.unprivileged_bpf_disabled`.
    bpf_disabled: Option<u32>,
    /// `kernel.perf_event_paranoid`; some distributions have values above 2.
    paranoid: Option<i32>,
}

impl Privileges {
    /// Those of this process, now.
    pub(crate) fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let uids = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let lockdown = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
        Self {
            effective: effective(&status),
            is_root: geteuid().is_root(),
            in_user_namespace: maps_users(&uids),
            is_confidential: lockdown.contains("[confidentiality]"),
            ptrace_scope: setting("yama/ptrace_scope"),
            bpf_disabled: setting("unprivileged_bpf_disabled"),
            paranoid: setting("perf_event_paranoid"),
        }
    }

    fn has(self, capability: Capability) -> bool {
        let number = |capability| 1_u64 << capability as u32;
        self.effective & (number(capability) | number(capability.stronger())) != 0
    }

    /// That some of these capabilities are missing, and how to get them; nothing if none is.
    fn lacks(self, wanted: &[Capability]) -> Option<String> {
        let missing = wanted.iter().filter(|capability| !self.has(**capability));
        let missing: Vec<_> = missing.map(|capability| capability.name()).collect();
        if missing.is_empty() {
            return None;
        }
        let names: Vec<_> = missing.iter().map(|name| format!("CAP_{name}")).collect();
        let names = names.join(" and ");
        Some(if self.is_root {
            format!(
                "map-probe lacks {names}, though it is root (in a container, or by setpriv or systemd): run it with all capabilities of root, in a container with --cap-add={}",
                missing.join(" --cap-add=")
            )
        } else {
            format!(
                "map-probe lacks {names}: run it as root (sudo), or give it the capabilities: {SETCAP}"
            )
        })
    }

    /// Why the kernel does not let it use BPF or perf events, and what to do.
    pub(crate) fn to_trace(self) -> String {
        const WANTED: [Capability; 2] = [Capability::Bpf, Capability::Perfmon];
        if let Some(lacks) = self.lacks(&WANTED) {
            return match self.bpf_disabled {
                Some(value) => format!(
                    "{lacks}; kernel.unprivileged_bpf_disabled is {value}, and no value of it makes up for them"
                ),
                None => lacks,
            };
        }
        if self.in_user_namespace {
            return "map-probe is in a user namespace (a rootless container, unshare --user), and the kernel accepts none \
                    of its capabilities for BPF: run it outside of that, as root"
                .to_owned();
        }
        if self.is_confidential {
            return "the kernel is locked down (/sys/kernel/security/lockdown says [confidentiality]): BPF may not read \
                    memory then; boot with lockdown=integrity or none"
                .to_owned();
        }
        match self.paranoid {
            Some(value) if value > 2 && self.effective & (1 << Capability::SysAdmin as u32) == 0 => format!(
                "kernel.perf_event_paranoid is {value}, and this kernel asks for CAP_SYS_ADMIN above 2: run map-probe as root \
                 (sudo), or set it: sysctl kernel.perf_event_paranoid=2"
            ),
            _ => "map-probe has the capabilities for it, so a seccomp filter or security module (SELinux, AppArmor, a container's) \
                  forbids it: run map-probe outside of that"
                .to_owned(),
        }
    }

    /// Why it may not look into a process, and what to do.
    pub(crate) fn to_look_into(self, pid: u32) -> String {
        const WANTED: [Capability; 2] = [Capability::SysPtrace, Capability::DacReadSearch];
        if self.ptrace_scope == Some(3) {
            return "kernel.yama.ptrace_scope is 3, which keeps everybody out of the memory of other processes: boot with another \
                    value, 2 at most (it cannot be lowered before)"
                .to_owned();
        }
        if let Some(lacks) = self.lacks(&WANTED) {
            return match self.ptrace_scope {
                Some(scope @ 1..) if !self.has(Capability::SysPtrace) => format!(
                    "{lacks}; kernel.yama.ptrace_scope is {scope}: with 0, processes of the same user need no capability \
                     (sysctl kernel.yama.ptrace_scope=0)"
                ),
                _ => lacks,
            };
        }
        if self.in_user_namespace {
            return format!(
                "map-probe is in a user namespace (a rootless container, unshare --user) that process {pid} is not in, so its \
                 capabilities do not count: run it outside of that, as root"
            );
        }
        format!(
            "map-probe has the capabilities for it, so a security module (SELinux, AppArmor) protects process {pid}: its log \
             (dmesg, journalctl -k) says which rule does"
        )
    }
}

/// The effective capabilities in `/proc/self/status`.
fn effective(status: &str) -> u64 {
    let mut lines = status.lines();
    let set = lines.find_map(|line| line.strip_prefix("CapEff:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .unwrap_or(0)
}

/// Whether `/proc/self/uid_map` is that of a user namespace: the system's own has all users as they are.
fn maps_users(uids: &str) -> bool {
    let words: Vec<_> = uids.split_ascii_whitespace().collect();
    !words.is_empty() && words != ["0", "0", "4294967295"]
}

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Privileges = Privileges {
        effective: u64::MAX,
        is_root: true,
        in_user_namespace: false,
        is_confidential: false,
        ptrace_scope: None,
        bpf_disabled: Some(2),
        paranoid: Some(2),
    };

    fn without(capabilities: &[Capability]) -> Privileges {
        let bits = capabilities
            .iter()
            .map(|capability| 1 << *capability as u32);
        Privileges {
            effective: !bits.fold(0, |all: u64, bit: u64| all | bit),
            is_root: false,
            ..ALL
        }
    }

    #[test]
    fn tracing_is_refused_for_want_of_what_is_named() {
        use Capability::{Bpf, Perfmon, SysAdmin};
        let no_bpf = without(&[Bpf, SysAdmin]).to_trace();
        assert!(no_bpf.contains("lacks CAP_BPF:"), "{no_bpf}");
        assert!(no_bpf.contains("unprivileged_bpf_disabled is 2") && no_bpf.contains("setcap"));
        let no_perfmon = without(&[Perfmon, SysAdmin]).to_trace();
        assert!(no_perfmon.contains("lacks CAP_PERFMON:"), "{no_perfmon}");
        let neither = without(&[Bpf, Perfmon, SysAdmin]);
        let root = Privileges {
            is_root: true,
            ..neither
        };
        let root = root.to_trace();
        assert!(
            root.contains("lacks CAP_BPF and CAP_PERFMON, though"),
            "{root}"
        );
        assert!(root.contains("--cap-add=BPF --cap-add=PERFMON"), "{root}");
        // CAP_SYS_ADMIN is enough by itself.
        let admin = without(&[Bpf, Perfmon]).to_trace();
        assert!(admin.contains("seccomp"), "{admin}");
    }

    #[test]
    fn with_all_capabilities_something_else_is_in_the_way() {
        let namespace = Privileges {
            in_user_namespace: true,
            ..ALL
        };
        assert!(namespace.to_trace().contains("user namespace"));
        assert!(namespace.to_look_into(7).contains("user namespace"));
        let locked = Privileges {
            is_confidential: true,
            ..ALL
        };
        assert!(locked.to_trace().contains("lockdown=integrity"));
        let paranoid = Privileges {
            paranoid: Some(4),
            ..without(&[Capability::SysAdmin])
        };
        let paranoid = paranoid.to_trace();
        assert!(paranoid.contains("paranoid is 4") && paranoid.contains("paranoid=2"));
        assert!(ALL.to_trace().contains("seccomp"));
        assert!(ALL.to_look_into(7).contains("security module"));
    }

    #[test]
    fn a_process_is_closed_for_want_of_what_is_named() {
        use Capability::{DacOverride, DacReadSearch, SysPtrace};
        let of_others = without(&[SysPtrace]).to_look_into(7);
        assert!(of_others.contains("lacks CAP_SYS_PTRACE:"), "{of_others}");
        let unreadable = without(&[DacReadSearch, DacOverride]).to_look_into(7);
        assert!(
            unreadable.contains("lacks CAP_DAC_READ_SEARCH:"),
            "{unreadable}"
        );
        let yama = |scope, privileges| {
            let privileges = Privileges {
                ptrace_scope: Some(scope),
                ..privileges
            };
            privileges.to_look_into(7)
        };
        let restricted = yama(1, without(&[SysPtrace]));
        assert!(restricted.contains("ptrace_scope is 1") && restricted.contains("ptrace_scope=0"));
        assert!(!yama(0, without(&[SysPtrace])).contains("yama"));
        assert!(yama(3, ALL).contains("ptrace_scope is 3"));
    }

    #[test]
    fn the_kernel_says_it_in_text() {
        assert_eq!(
            effective("Name:\tx\nCapEff:\t000001fffeffffff\n"),
            0x1ff_feff_ffff
        );
        assert_eq!(effective(""), 0);
        assert!(!maps_users("         0          0 4294967295\n"));
        assert!(maps_users("         0       1000          1\n"));
        assert!(!maps_users(""));
    }
}
