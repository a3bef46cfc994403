//! The check every struct that crosses the kernel's border passes at compile time.

/// Marks structs as safe to copy between the kernel side and userspace, and
/// proves at compile time that they have the stated size and no hidden padding
/// (the sizes of the fields, named exhaustively, add up to the struct's size).
macro_rules! shared {
    ($name:ident, $size:literal, { $($field:ident : $ty:ty),+ $(,)? }) => {
        const _: () = assert!(core::mem::size_of::<$name>() == $size);
        const _: () = assert!(0 $(+ core::mem::size_of::<$ty>())+ == $size);
        // A field that is not named here fails to compile.
        const _: fn(&$name) = |$name { $($field),+ }| { $(let _: &$ty = $field;)+ };
        #[cfg(feature = "user")]
        // SAFETY: `repr(C)`, `Copy`, integers only, and no padding, as asserted above.
        unsafe impl aya::Pod for $name {}
    };
}
pub(crate) use shared;
