//! Seeds: the parts of real programs that the targets take, found by their symbol tables.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection, ObjectSymbol};

use crate::workspace;

/// Map functions have at most this many bytes.
const MAX_CODE: u64 = 3072;
/// Functions of the small function table.
const FUNCTIONS: usize = 48;
/// Bytes of each window of the types.
const TYPES: usize = 16 << 10;

/// Writes the seeds made from all programs in a folder, a folder per target.
pub(super) fn write(programs: &Path, to: &Path) -> Result<()> {
    let mut out = Out { to };
    for entry in fs::read_dir(programs)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let bytes = fs::read(&path)?;
        let program = Program::new(&bytes)
            .with_context(|| format!("{} is not as expected", path.display()))?;
        out.seed("elf", &name, &shrunk(&bytes))?;
        let info = program.section(".go.buildinfo").unwrap_or_default();
        out.seed("build_info", &name, &info[..info.len().min(2048)])?;
        out.seed(
            "function_table",
            &name,
            &program.function_table().unwrap_or_default(),
        )?;
        for (index, window) in program.types().into_iter().enumerate() {
            out.seed("types", &format!("{name}-{index}"), &window)?;
        }
        for (index, code) in program.map_functions(&name)?.into_iter().enumerate() {
            out.seed("plan", &format!("{name}-{index}"), &code)?;
        }
    }
    for number in 0..16_u8 {
        out.seed("program", &number.to_string(), &[number])?;
        out.seed(
            "real_program",
            &number.to_string(),
            &[number, number, 8, 0, 0, 0, 1, 0xff],
        )?;
    }
    for file in ["maps", "stat", "auxv"] {
        let bytes = fs::read(Path::new("/proc/self").join(file))?;
        out.seed("proc_files", file, &bytes[..bytes.len().min(4096)])?;
    }
    let mut dice = Dice(1);
    for number in 0..256 {
        out.seed("walk", &number.to_string(), &dice.walk())?;
    }
    Ok(())
}

struct Out<'a> {
    to: &'a Path,
}

impl Out<'_> {
    fn seed(&mut self, target: &str, name: &str, bytes: &[u8]) -> Result<()> {
        let dir = self.to.join(target);
        fs::create_dir_all(&dir)?;
        Ok(fs::write(dir.join(name), bytes)?)
    }
}

/// The headers of a program, in a file of one page: each segment and section is cut to what lies in it.
fn shrunk(program: &[u8]) -> Vec<u8> {
    const PAGE: usize = 4096;
    let mut file = program[..program.len().min(PAGE)].to_vec();
    let word = |file: &[u8], at: usize, len: usize| {
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(file.get(at..at + len).unwrap_or(&[0; 8][..len]));
        usize::try_from(u64::from_le_bytes(bytes)).unwrap_or(usize::MAX)
    };
    // Offset, entries, bytes of an entry, and where an entry has its offset and its length.
    let tables = [
        (word(&file, 32, 8), word(&file, 56, 2), 56, 8, 32),
        (word(&file, 40, 8), word(&file, 60, 2), 64, 24, 32),
    ];
    for (table, count, size, offset_at, len_at) in tables {
        for entry in (0..count).map(|index| table.saturating_add(index * size)) {
            let end = word(&file, entry + offset_at, 8).min(PAGE);
            let offset = end.to_le_bytes();
            let len = word(&file, entry + len_at, 8).min(PAGE - end).to_le_bytes();
            for (at, bytes) in [(entry + offset_at, offset), (entry + len_at, len)] {
                if let Some(field) = file.get_mut(at..at + 8) {
                    field.copy_from_slice(&bytes);
                }
            }
        }
    }
    file
}

struct Program<'a> {
    file: ElfFile64<'a>,
    /// Address and length by name.
    symbols: HashMap<&'a str, (u64, u64)>,
    names: HashMap<u64, &'a str>,
}

impl<'a> Program<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self> {
        let file = ElfFile64::parse(bytes)?;
        let mut symbols = HashMap::new();
        let mut names = HashMap::new();
        for symbol in file.symbols() {
            let Ok(name) = symbol.name() else { continue };
            symbols.insert(name, (symbol.address(), symbol.size()));
            names.insert(symbol.address(), name);
        }
        Ok(Self {
            file,
            symbols,
            names,
        })
    }

    fn section(&self, name: &str) -> Option<&'a [u8]> {
        self.file.section_by_name(name)?.data().ok()
    }

    fn at(&self, address: u64, len: u64) -> Option<&'a [u8]> {
        let mut sections = self.file.sections();
        sections.find_map(|section| section.data_range(address, len).ok()?)
    }

    /// The function table, with its first functions only.
    fn function_table(&self) -> Option<Vec<u8>> {
        let table = self.section(".gopclntab")?;
        let u32_at = |at: usize| Some(u32::from_le_bytes(table.get(at..at + 4)?.try_into().ok()?));
        let offset = |index: usize| {
            let at = 32 + 8 * index;
            Some(u64::from_le_bytes(table.get(at..at + 8)?.try_into().ok()?) as usize)
        };
        let (old_names, old_list) = (offset(0)?, offset(4)?);
        let mut names = Vec::new();
        let mut list = Vec::new();
        let mut records = Vec::new();
        for index in 0..FUNCTIONS {
            let entry = u32_at(old_list + 8 * index)?;
            let record = old_list + u32_at(old_list + 8 * index + 4)? as usize;
            let name = table.get(old_names + u32_at(record + 4)? as usize..)?;
            let name = name.split(|byte| *byte == 0).next()?;
            list.extend(entry.to_le_bytes());
            list.extend(((FUNCTIONS * 8 + 4 + records.len()) as u32).to_le_bytes());
            records.extend(entry.to_le_bytes());
            records.extend((names.len() as u32).to_le_bytes());
            records.extend(table.get(record + 8..record + 40)?);
            names.extend(name);
            names.push(0);
        }
        list.extend(u32_at(old_list + 8 * FUNCTIONS)?.to_le_bytes());
        let mut small = table.get(..8)?.to_vec();
        let behind = 72 + names.len().next_multiple_of(8);
        let words = [FUNCTIONS, 0, 0, 72, behind, behind, behind, behind];
        small.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        small.extend(names);
        small.resize(behind, 0);
        small.extend(list);
        small.extend(records);
        Some(small)
    }

    /// Windows of the types, each behind its address.
    fn types(&self) -> Vec<Vec<u8>> {
        let address = |name| self.symbols.get(name).map(|(address, _)| *address);
        let (Some(start), Some(end)) = (address("runtime.types"), address("runtime.etypes")) else {
            return Vec::new();
        };
        let windows = (start..end).step_by(TYPES).filter_map(|at| {
            let bytes = self.at(at, (end - at).min(TYPES as u64))?;
            Some([&at.to_le_bytes()[..], bytes].concat())
        });
        windows.take(16).collect()
    }

    /// The map functions with the names of those they call, as the target `plan` takes them: each as the code of
    /// every function in turn, of which libFuzzer keeps what shows something new.
    fn map_functions(&self, version: &str) -> Result<Vec<Vec<u8>>> {
        let names = fs::read_to_string(workspace::root().join("fuzz/callees.txt"))?;
        let number: HashMap<&str, u8> = names.lines().zip(0..).collect();
        let minor: u8 = version.split('.').nth(1).context("a version")?.parse()?;
        let mut seeds = Vec::new();
        let wanted = |name: &str| {
            let name = name.rsplit('.').next().unwrap_or_default();
            [
                "mapaccess1",
                "mapaccess2",
                "mapassign",
                "mapdelete",
                "Delete",
            ]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        };
        let mut functions: Vec<_> = self
            .symbols
            .iter()
            .filter(|(name, _)| wanted(name))
            .collect();
        functions.sort();
        for (_, (address, len)) in functions {
            let Some(code) = self.at(*address, (*len).min(MAX_CODE)) else {
                continue;
            };
            let mut callees = Vec::new();
            for (at, call) in code
                .windows(5)
                .enumerate()
                .filter(|(_, call)| call[0] == 0xe8)
            {
                let distance = i32::from_le_bytes([call[1], call[2], call[3], call[4]]);
                let distance = distance.wrapping_add(i32::try_from(at)? + 5);
                let target = address.wrapping_add_signed(distance.into());
                if let Some(number) = self.names.get(&target).and_then(|name| number.get(name)) {
                    callees.extend(distance.to_le_bytes());
                    callees.push(*number);
                }
            }
            callees.truncate(5 * 48);
            for function in 0..17 {
                let head = [minor - 18, function, (callees.len() / 5) as u8];
                seeds.push([&head[..], &callees, code].concat());
            }
        }
        Ok(seeds)
    }
}

/// Numbers without a pattern (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A word that is likely to lead a walk somewhere.
    fn word(&mut self) -> u64 {
        match self.roll() % 8 {
            0..4 => 0xc0_0000_0000 + self.roll() % 256 * 8,
            4 => [0, 1, 8, 16, 1 << 63, u64::MAX][(self.roll() % 6) as usize],
            5 => self.roll() & 0x7f7f_7f7f_7f7f_7f7f,
            6 => (self.roll() & 0xff) * 0x0101_0101_0101_0101,
            _ => self.roll(),
        }
    }

    /// An operation and memory, as the target `walk` takes them.
    fn walk(&mut self) -> Vec<u8> {
        let mut seed: Vec<u8> = (0..6).map(|_| self.roll() as u8).collect();
        for _ in 0..256 {
            seed.extend(self.word().to_le_bytes());
        }
        seed
    }
}
