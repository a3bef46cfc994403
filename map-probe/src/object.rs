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

    #[test]
    fn the_program_has_the_tail_call_that_keeps_it_off_the_stacks_shared_by_threads() {
        const TAIL_CALL: i32 = 12;
        const CALL: u8 = 0x85;
        let object = aya_obj::Object::parse(OBJECT).expect("an eBPF object");
        let program = &object.programs["map_probe"];
        let function = &object.functions[&program.function_key()];
        let mut instructions = function.instructions.iter();
        assert!(instructions.any(|i| i.code == CALL && i.src_reg() == 0 && i.imm == TAIL_CALL));
    }
}
