//! What can happen to a run of map-probe, or to its target.

/// One kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// SIGKILL of map-probe.
    Kill,
    /// SIGKILL of map-probe while it ends by SIGINT.
    KillEnding,
    /// SIGKILL of its guard.
    KillGuard,
    /// SIGKILL of both at once.
    KillBoth,
    /// `cgroup.kill` of the cgroup that both are in.
    CgroupKill,
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
    /// SIGHUP: the terminal is closed.
    HangUp,
    /// SIGQUIT.
    Quit,
    /// SIGSTOP, and SIGCONT after a while.
    Stop,
    /// Nobody reads standard output.
    ClosedOutput,
    /// Standard output is full.
    FullOutput,
    /// The target becomes a program of another Go version, by its leader thread.
    ExecLeader,
    /// The same by another thread.
    ExecOther,
    /// The target becomes the same program again.
    ExecSame,
    /// The target ends.
    Exit,
    /// SIGKILL of the target.
    KillTarget,
    /// The target starts other programs.
    Spawn,
    /// The target's C code forks, and the child goes on.
    Fork,
}

impl Event {
    /// All of them, and how often each is to come in 100.
    pub const ALL: [(Self, usize); 19] = [
        (Self::Kill, 14),
        (Self::KillEnding, 14),
        (Self::KillGuard, 6),
        (Self::KillBoth, 8),
        (Self::CgroupKill, 6),
        (Self::Terminate, 3),
        (Self::Interrupt, 4),
        (Self::HangUp, 4),
        (Self::Quit, 4),
        (Self::Stop, 4),
        (Self::ClosedOutput, 2),
        (Self::FullOutput, 2),
        (Self::ExecLeader, 7),
        (Self::ExecOther, 6),
        (Self::ExecSame, 3),
        (Self::Exit, 4),
        (Self::KillTarget, 3),
        (Self::Spawn, 3),
        (Self::Fork, 3),
    ];

    /// Whether the guard is killed, and may be in the middle of a call.
    #[must_use]
    pub fn kills_guard(self) -> bool {
        matches!(self, Self::KillGuard | Self::KillBoth | Self::CgroupKill)
    }

    /// Its name on the command line and in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::KillEnding => "kill-ending",
            Self::KillGuard => "kill-guard",
            Self::KillBoth => "kill-both",
            Self::CgroupKill => "cgroup-kill",
            Self::Terminate => "term",
            Self::Interrupt => "int",
            Self::HangUp => "hup",
            Self::Quit => "quit",
            Self::Stop => "stop",
            Self::ClosedOutput => "closed-output",
            Self::FullOutput => "full-output",
            Self::ExecLeader => "exec-leader",
            Self::ExecOther => "exec-other",
            Self::ExecSame => "exec-same",
            Self::Exit => "exit",
            Self::KillTarget => "kill-target",
            Self::Spawn => "spawn",
            Self::Fork => "fork",
        }
    }

    /// The signal that map-probe gets, for those that are one.
    #[must_use]
    pub fn signal(self) -> Option<i32> {
        match self {
            Self::Kill => Some(libc::SIGKILL),
            Self::Terminate => Some(libc::SIGTERM),
            Self::Interrupt => Some(libc::SIGINT),
            Self::HangUp => Some(libc::SIGHUP),
            Self::Quit => Some(libc::SIGQUIT),
            _ => None,
        }
    }

    /// Whether map-probe is killed by it, so that no report is due.
    #[must_use]
    pub fn kills(self) -> bool {
        matches!(
            self,
            Self::Kill | Self::KillEnding | Self::KillGuard | Self::KillBoth | Self::CgroupKill
        )
    }

    /// Whether its report cannot be written, which has to be an error.
    #[must_use]
    pub fn takes_the_output(self) -> bool {
        matches!(self, Self::ClosedOutput | Self::FullOutput)
    }

    /// Whether the target does not survive it, or becomes another program: it gets one of its own.
    #[must_use]
    pub fn needs_own_target(self) -> bool {
        self.execs() || matches!(self, Self::Exit | Self::KillTarget | Self::Fork)
    }

    /// Whether the target becomes another program.
    #[must_use]
    pub fn execs(self) -> bool {
        matches!(self, Self::ExecLeader | Self::ExecOther | Self::ExecSame)
    }

    /// Whether the target ends by it.
    #[must_use]
    pub fn ends_target(self) -> bool {
        matches!(self, Self::Exit | Self::KillTarget)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_its_share_and_a_name_of_its_own() {
        assert_eq!(
            Event::ALL.iter().map(|(_, share)| share).sum::<usize>(),
            100
        );
        let names: std::collections::BTreeSet<_> =
            Event::ALL.iter().map(|(event, _)| event.name()).collect();
        assert_eq!(names.len(), Event::ALL.len());
    }
}
