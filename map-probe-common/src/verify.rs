//! What verifying shares beside the walk: which probe is which, and what came of it.

use crate::shared::shared;
use crate::walk::{Expected, Returned, VERDICTS};

/// What a probe's cookie says when verifying: at a site, its index and its map function; at a return, the function
/// and whether it returns a bool. Where nothing is verified, a cookie is the index of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie(pub u64);

impl Cookie {
    const RETURN: u64 = 1 << 63;
    const SAYS_FOUND: u64 = 1 << 62;

    /// That of a site.
    #[must_use]
    pub const fn site(index: u32, function: u16) -> Self {
        Self((function as u64) << 32 | index as u64)
    }

    /// That of a return.
    #[must_use]
    pub const fn at_return(function: u16, says_found: bool) -> Self {
        let says_found = if says_found { Self::SAYS_FOUND } else { 0 };
        Self((function as u64) << 32 | Self::RETURN | says_found)
    }

    /// Whether it is that of a return.
    #[must_use]
    pub const fn is_return(self) -> bool {
        self.0 & Self::RETURN != 0
    }

    /// Whether the function returns a bool beside the element's address.
    #[must_use]
    pub const fn says_found(self) -> bool {
        self.0 & Self::SAYS_FOUND != 0
    }

    /// The map function's number.
    #[must_use]
    pub const fn function(self) -> u16 {
        (self.0 >> 32) as u16
    }
}

/// How often each verdict on one map function was given.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Verdicts {
    /// By the number of the [`crate::walk::Verdict`].
    pub counts: [u64; VERDICTS],
    /// Operations of which memory could not be read when they returned.
    pub unread: u64,
}
shared!(Verdicts, 48, { counts: [u64; VERDICTS], unread: u64 });

/// An operation on which walk and runtime differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Difference {
    /// What the walk said.
    pub expected: Expected,
    /// What the runtime returned.
    pub returned: Returned,
}
shared!(Difference, 128, { expected: Expected, returned: Returned });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_says_what_it_was_made_of() {
        let site = Cookie::site(255, 16);
        assert!(!site.is_return());
        assert_eq!((site.0 as u32, site.function()), (255, 16));
        for says_found in [false, true] {
            let cookie = Cookie::at_return(16, says_found);
            assert!(cookie.is_return());
            assert_eq!((cookie.says_found(), cookie.function()), (says_found, 16));
        }
    }
}
