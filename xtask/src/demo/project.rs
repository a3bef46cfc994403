//! A made-up TypeScript project: enough code, with enough names and types, to keep a compiler's maps busy.

use crate::process::remove_dir;
use anyhow::Result;
use std::fmt::Write as _;
use std::path::Path;

const CONFIG: &str = r#"{
  "compilerOptions": {
    "target": "es2022", "module": "esnext", "moduleResolution": "bundler",
    "strict": true, "declaration": true, "rootDir": "src", "types": []
  },
  "include": ["src"]
}
"#;

/// Fields that an entity may have: name, type, and a value of that type.
const FIELDS: [(&str, &str, &str); 6] = [
    ("name", "string", "\"\""),
    ("amount", "number", "0"),
    ("tags", "readonly string[]", "[]"),
    ("created", "Date", "new Date(0)"),
    ("active", "boolean", "true"),
    ("labels", "Record<string, string>", "{}"),
];

/// Writes a project of this many source files, new each time; the number of lines written.
pub(crate) fn generate(dir: &Path, files: u32) -> Result<usize> {
    remove_dir(dir)?;
    let src = dir.join("src");
    std::fs::create_dir_all(&src)?;
    std::fs::write(dir.join("tsconfig.json"), CONFIG)?;
    let mut lines = 0;
    for index in 0..files {
        let text = module(index)?;
        lines += text.lines().count();
        std::fs::write(src.join(format!("entity{index}.ts")), text)?;
    }
    Ok(lines)
}

/// One module: an interface, a union, a generic class and functions, using up to three of the modules before it.
fn module(index: u32) -> Result<String> {
    let mut uses: Vec<u32> = [1, 7, 31]
        .iter()
        .filter_map(|step| index.checked_sub(*step))
        .collect();
    uses.dedup();
    let mut text = String::new();
    for other in &uses {
        writeln!(
            text,
            "import {{ type Entity{other}, type State{other}, make{other}, Store{other} }} from \"./entity{other}\";"
        )?;
    }
    interface(&mut text, index, &uses)?;
    writeln!(
        text,
        "export type State{index} =\n  | {{ kind: \"idle{index}\" }}\n  | {{ kind: \"loading{index}\"; since: number }}\n  \
         | {{ kind: \"ready{index}\"; value: Entity{index} }};\n"
    )?;
    store(&mut text, index)?;
    functions(&mut text, index, &uses)?;
    Ok(text)
}

/// The fields of module `index`, each module having another selection.
fn fields(index: u32) -> impl Iterator<Item = (String, &'static str, &'static str)> {
    (0..4 + index % 5).map(move |field| {
        let (name, kind, value) = FIELDS[((index + field) as usize) % FIELDS.len()];
        (format!("{name}{field}"), kind, value)
    })
}

fn interface(text: &mut String, index: u32, uses: &[u32]) -> Result<()> {
    writeln!(
        text,
        "export interface Entity{index} {{\n  readonly id: number;"
    )?;
    for (name, kind, _) in fields(index) {
        writeln!(text, "  {name}: {kind};")?;
    }
    for other in uses {
        writeln!(
            text,
            "  ref{other}?: Entity{other};\n  state{other}?: State{other};"
        )?;
    }
    writeln!(text, "}}\n")?;
    Ok(())
}

fn store(text: &mut String, index: u32) -> Result<()> {
    writeln!(
        text,
        "export class Store{index}<T extends Entity{index}, K extends keyof T = keyof T> {{
  private readonly items = new Map<number, T>();
  constructor(private readonly order: readonly K[] = []) {{}}
  add(item: T): this {{
    this.items.set(item.id, item);
    return this;
  }}
  get(id: number): T | undefined {{
    return this.items.get(id);
  }}
  pick(id: number): Pick<T, K> | undefined {{
    const item = this.items.get(id);
    if (item === undefined) return undefined;
    const result: Partial<T> = {{}};
    for (const key of this.order) result[key] = item[key];
    return result as Pick<T, K>;
  }}
  map<U>(f: (item: T) => U): U[] {{
    return [...this.items.values()].map(f);
  }}
}}
"
    )?;
    Ok(())
}

fn functions(text: &mut String, index: u32, uses: &[u32]) -> Result<()> {
    writeln!(
        text,
        "export function make{index}(id: number): Entity{index} {{\n  return {{\n    id,"
    )?;
    for (name, _, value) in fields(index) {
        writeln!(text, "    {name}: {value},")?;
    }
    for other in uses {
        writeln!(text, "    ref{other}: make{other}(id + {other}),")?;
    }
    writeln!(text, "  }};\n}}\n")?;
    writeln!(
        text,
        "export function describe{index}(state: State{index}): string {{
  switch (state.kind) {{
    case \"idle{index}\": return \"idle\";
    case \"loading{index}\": return `loading since ${{state.since}}`;
    case \"ready{index}\": return `ready ${{state.value.id}}`;
  }}
}}
"
    )?;
    for other in uses {
        writeln!(
            text,
            "export const linked{other} = new Store{other}<Entity{other}>().add(make{other}({index})).map((item) => item.id);"
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_module_imports_only_modules_that_come_before_it() {
        for index in [0, 1, 8, 40] {
            let text = module(index).expect("formatted");
            for line in text.lines().filter_map(|line| line.strip_prefix("import ")) {
                let from = line.split("./entity").nth(1).expect("a module's name");
                let other: u32 = from.trim_end_matches("\";").parse().expect("a number");
                assert!(other < index, "{index} imports {other}");
            }
        }
    }

    #[test]
    fn a_project_has_the_files_that_were_asked_for() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let lines = generate(&dir.path().join("p"), 5).expect("written");
        let src = std::fs::read_dir(dir.path().join("p/src")).expect("there");
        assert_eq!(src.count(), 5);
        assert!(lines > 100);
    }
}
