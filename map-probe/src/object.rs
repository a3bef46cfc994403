//! The kernel side, as built by `cargo xtask build-ebpf` from `map-probe-ebpf` and committed: building map-probe needs
//! no eBPF toolchain. A test of xtask's fails when it is older than its sources.

/// The eBPF object (ELF, with BTF), aligned as its reader needs it.
pub static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/ebpf/map-probe.bpf.o"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_object_has_programs_and_the_btf_that_callbacks_need() {
        let object = aya_obj::Object::parse(OBJECT).expect("an eBPF object");
        assert!(!object.programs.is_empty());
        assert!(object.btf.is_some() && object.btf_ext.is_some());
    }
}
