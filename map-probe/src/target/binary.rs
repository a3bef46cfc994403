//! A Go program's file: everything the other parts want to know of it, read once.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::ops::Range;

use map_probe_common::counts::Shape;

use super::aes;
use super::buildinfo::BuildInfo;
use super::directory;
use super::elf::Image;
use super::equal::{self, EqualSteps};
use super::error::TargetError;
use super::go::{self, AssumedGo, GoFacts};
use super::lines::{CodeFrame, Lines};
use super::memory::{self, Memory};
use super::moduledata::ModuleData;
use super::pclntab::{Functions, Header};
use super::types::Namer;
use super::{Function, GoMaps, GoVersion, buildid};
use crate::plan::callers_to_check;
use crate::plan::sampling::MAYBE_FRAMELESS;
use crate::report::words;

/// The longest function whose code is read; Go's map functions have 1 to 3 KiB.
const MAX_CODE: usize = 1 << 20;
/// The most types that are read. Terraform's have 14 MiB.
const MAX_TYPES: usize = 128 << 20;
/// In every program that has the runtime in it.
// Go 1.18..1.27 runtime/malloc.go: func mallocgc(uintptr, *_type, bool)
const RUNTIME_FUNCTION: &str = "runtime.mallocgc";
/// What GCC's and LLVM's front ends for Go leave in every program: the exported names. `strip` leaves it, too
/// (GCC 12: `gcc/go/go-backend.c`).
const GCCGO_SECTION: &str = ".go_export";
/// In every program with a `sync.Map` that is no map; other hash tries have other types in brackets.
// Go 1.25..1.27 sync/map.go: says "m isync.HashTrieMap[any, any]"
// Go 1.24 sync/hashtriemap.go: says "m isync.HashTrieMap[any, any]"
// Go 1.24..1.27 internal/sync/hashtriemap.go: says "func (ht *HashTrieMap[K, V]) initSlow() {"
const SYNC_MAP_FUNCTION: &str =
    "internal/sync.(*HashTrieMap[go.shape.interface {},go.shape.interface {}]).initSlow";

/// A Go program of a supported version.
pub struct Binary {
    image: Image,
    info: BuildInfo,
    version: GoVersion,
    facts: &'static GoFacts,
    assumed: Option<AssumedGo>,
    functions: Functions,
    types: Range<u64>,
    gofunc: u64,
    /// The code of the map functions and their wrappers, by name.
    code: HashMap<&'static str, (u64, Vec<u8>)>,
}

impl Binary {
    /// Reads a program; `display_path` is what messages call it.
    ///
    /// # Errors
    ///
    /// What it is instead of an intact Go program of a supported version.
    pub fn open(file: File, display_path: &str) -> Result<Self, TargetError> {
        Self::open_assuming(file, display_path, None)
    }

    /// Reads a program, and takes it for one built by `assumed` where its own version is not known.
    ///
    /// # Errors
    ///
    /// As [`Binary::open`]; and its version is one that it cannot be taken for.
    pub fn open_assuming(
        file: File,
        display_path: &str,
        assumed: Option<AssumedGo>,
    ) -> Result<Self, TargetError> {
        let image = Image::open(file, display_path.to_owned())?;
        let Some(info) = BuildInfo::find(&image) else {
            return Err(no_build_info(&image));
        };
        let go::Found {
            version,
            facts,
            assumed,
        } = go::facts(&info, display_path, assumed)?;
        let table = Header::find(&image, |table| {
            let module = ModuleData::find(&image, &table, &facts.module)?;
            Some((table, module))
        });
        let (table, module) = table.ok_or_else(|| match assumed {
            Some(assumed) => TargetError::NotAsAssumed {
                path: image.path(),
                assumed: assumed.to_string(),
            },
            None => TargetError::NoTable { path: image.path() },
        })?;
        let damaged = || image.damaged("Go's function table (pclntab) makes no sense");
        let functions = Functions::read(&image, table, module.text.start).ok_or_else(damaged)?;
        let maps = facts.maps.functions.iter().chain(facts.maps.also_sampled);
        let wanted = maps.flat_map(|function| {
            let wrappers = function.wrappers.iter().copied();
            wrappers.chain([function.symbol])
        });
        let wanted = wanted.chain(MAYBE_FRAMELESS).chain(callers_to_check());
        let wanted = wanted.chain(aes::functions());
        let places = functions
            .find(&image, wanted.chain([RUNTIME_FUNCTION, SYNC_MAP_FUNCTION]))
            .ok_or_else(damaged)?;
        if !places.contains_key(RUNTIME_FUNCTION) {
            return Err(TargetError::RuntimeElsewhere { path: image.path() });
        }
        let mut code = HashMap::new();
        for (name, place) in places {
            if !module.text.contains(&place.start) || place.end > module.text.end {
                return Err(damaged());
            }
            let bytes = image.region(&place, MAX_CODE).ok_or_else(damaged)?;
            code.insert(name, (place.start, bytes.bytes));
        }
        Ok(Self {
            types: module.types,
            gofunc: module.gofunc,
            image,
            info,
            version,
            facts,
            assumed,
            functions,
            code,
        })
    }

    /// The version of Go it was built by.
    #[must_use]
    pub fn version(&self) -> &GoVersion {
        &self.version
    }

    /// Whether its version of Go was never tried: what is known of it is from Go's sources alone.
    #[must_use]
    pub fn is_untested(&self) -> bool {
        self.facts.untested
    }

    /// What else has to be known of it to understand its counts.
    #[must_use]
    pub fn notes(&self) -> Vec<&'static str> {
        let has_sync_map = self.code.contains_key(SYNC_MAP_FUNCTION);
        has_sync_map
            .then_some(words::SYNC_MAP)
            .into_iter()
            .collect()
    }

    /// The GNU build id in hexadecimal; `None` if the linker made none.
    #[must_use]
    pub fn gnu_build_id(&self) -> Option<String> {
        buildid::gnu(&self.image)
    }

    /// The version whose maps it was said to have, if its own is not known.
    #[must_use]
    pub fn assumed(&self) -> Option<AssumedGo> {
        self.assumed
    }

    /// What it says about how it was built.
    #[must_use]
    pub fn build_info(&self) -> &BuildInfo {
        &self.info
    }

    /// The facts about its maps.
    #[must_use]
    pub fn maps(&self) -> &'static GoMaps {
        &self.facts.maps
    }

    /// One of the map functions ([`GoMaps::functions`], [`GoMaps::also_sampled`]), their callers in the runtime or those
    /// that they call ([`MAYBE_FRAMELESS`]) with its code; `None` if the program does not have it.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<Function<'_>> {
        let (address, code) = self.code.get(name)?;
        Some(Function {
            name: name.to_owned(),
            address: *address,
            code,
        })
    }

    /// The name of the function whose code covers a linked address.
    #[must_use]
    pub fn name_at(&self, address: u64) -> Option<String> {
        self.functions.name_at(&self.image, address)
    }

    /// The functions at a linked address, the innermost inlined one first; `None` if it is in none that is known.
    #[must_use]
    pub fn frames(&self, address: u64) -> Option<Vec<CodeFrame>> {
        self.lines().frames(address)
    }

    /// Bytes from the stack pointer at a linked address to the function's return address; `None` if unknown.
    #[must_use]
    pub fn stack_bytes(&self, address: u64) -> Option<u32> {
        self.lines().stack_bytes(address)
    }

    fn lines(&self) -> Lines<'_> {
        Lines {
            image: &self.image,
            functions: &self.functions,
            layout: self.facts.frames,
            gofunc: self.gofunc,
        }
    }

    /// Where the byte at a linked address lies in the file.
    #[must_use]
    pub fn file_offset(&self, address: u64) -> Option<u64> {
        self.image.file_offset(address)
    }

    /// Linked addresses of its code.
    pub(super) fn code(&self) -> impl Iterator<Item = Range<u64>> {
        let segments = self.image.segments().iter();
        let code = segments.filter(|segment| segment.executable);
        code.map(|segment| segment.addresses.clone())
    }

    /// Its code from a linked address on, as the file has it; whether all of that is there.
    pub(super) fn read_code(&self, address: u64, buf: &mut [u8]) -> bool {
        self.image.read(address, buf)
    }

    /// Whether the kernel chooses where it is loaded.
    #[must_use]
    pub fn is_position_independent(&self) -> bool {
        self.image.is_position_independent()
    }

    /// Linked address of its first instruction.
    #[must_use]
    pub fn entry(&self) -> u64 {
        self.image.entry()
    }

    /// The name of the type at an address in a process that runs this program, as
    /// `%T` prints it. `bias` is what to add to a linked address to get one there.
    #[must_use]
    pub fn type_name(&self, address: u64, bias: u64, process: &dyn Memory) -> Option<String> {
        let namer = Namer {
            image: &self.image,
            types: &self.types,
            bias,
            process,
        };
        namer.name(address)
    }

    /// The slots for entries of a Swiss map of several tables, of which only the process knows; `None` if it does not look
    /// like the map that was seen with this shape.
    #[must_use]
    pub fn map_capacity(&self, map: u64, shape: &Shape, process: &dyn Memory) -> Option<u64> {
        directory::capacity(&self.facts.maps.layout, map, shape, process)
    }

    /// How each comparable struct and array type compares that is not compared as
    /// plain memory, by linked address.
    ///
    /// # Errors
    ///
    /// The types could not be read: the file changed meanwhile.
    pub fn equal_steps(&self) -> Result<Vec<EqualSteps>, TargetError> {
        let damaged = || self.image.damaged("its types make no sense");
        let region = self
            .image
            .region(&self.types, MAX_TYPES)
            .ok_or_else(damaged)?;
        Ok(equal::programs(
            &region,
            self.facts.kind_flags,
            self.facts.field_offset_shift,
        ))
    }

    /// Whether a process has this program loaded with this bias: the ELF header, in
    /// memory with the first segment, is the file's.
    pub(crate) fn is_loaded_at(&self, bias: u64, process: &dyn Memory) -> bool {
        let mut segments = self.image.segments().iter();
        segments
            .find(|segment| segment.offset == 0)
            .is_none_or(|segment| {
                let start = segment.addresses.start;
                let ours = memory::array::<64>(&self.image, start);
                ours.is_some() && ours == memory::array(process, start.wrapping_add(bias))
            })
    }
}

impl fmt::Debug for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binary")
            .field("path", &self.image.path())
            .field("version", &self.version.text)
            .finish_non_exhaustive()
    }
}

/// What a program is that has no build info.
fn no_build_info(image: &Image) -> TargetError {
    let path = image.path();
    if image.is_packed() {
        TargetError::Packed { path }
    } else if Header::find(image, Some).is_some() {
        TargetError::NoBuildInfo { path }
    } else if image.has_section(GCCGO_SECTION) {
        TargetError::Gccgo { path }
    } else {
        TargetError::NotGo { path }
    }
}

#[cfg(test)]
mod tests;
