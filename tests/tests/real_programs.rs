//! Programs that nobody here wrote, each while it works its maps: the slot of every operation is the runtime's, and no
//! operation is missing from a trace. What is not installed is left out, with a message; `docs/real-programs.md` says how
//! to get it, and has the results.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::go::build_dir;
use map_probe_tests::kernel;
use map_probe_tests::real::{
    Server, check_command, check_server, debian, find, free_port, npm, request,
};

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

#[test]
#[ignore = "of `cargo xtask test --full`, which looks for the program"]
fn prometheus_scrapes_itself_and_answers_queries() -> Result<()> {
    let Some(program) = wanted("prometheus", &debian("prometheus"))? else {
        return Ok(());
    };
    let directory = tempfile::tempdir()?;
    let port = free_port()?;
    let config = directory.path().join("prometheus.yml");
    fs::write(
        &config,
        format!(
            "global: {{scrape_interval: 500ms}}\n\
             scrape_configs:\n- job_name: self\n  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
        ),
    )?;
    let server = Server::start(
        Command::new(program)
            .current_dir(&directory)
            .arg(format!("--config.file={}", text(&config)?))
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address=127.0.0.1:{port}")),
        port,
    )?;
    let paths = [
        "/metrics",
        "/api/v1/query?query=sum%20by%20(handler)%20(rate(prometheus_http_requests_total%5B1m%5D))",
        "/api/v1/series?match%5B%5D=%7B__name__%3D~%22go_.*%22%7D",
        "/api/v1/labels",
        "/api/v1/targets/metadata",
    ];
    check_server(
        "Prometheus",
        "scrapes itself, answers queries",
        &server,
        |number| request(port, paths[number % paths.len()], None).map(|_| ()),
    )
}

#[test]
#[ignore = "of `cargo xtask test --full`, which looks for the program"]
fn caddy_serves_files() -> Result<()> {
    let Some(program) = wanted("caddy", &debian("caddy"))? else {
        return Ok(());
    };
    let directory = tempfile::tempdir()?;
    let home = directory.path();
    let port = free_port()?;
    let config = home.join("Caddyfile");
    fs::write(
        &config,
        format!(
            "{{\n\tadmin off\n\tauto_https off\n}}\nhttp://127.0.0.1:{port}, http://localhost:{port} {{\n\
             \troot * {}\n\tencode gzip\n\theader X-Served-By map-probe\n\tfile_server browse\n}}\n",
            text(home)?
        ),
    )?;
    let server = Server::start(
        Command::new(program)
            .current_dir(home)
            .env("HOME", home)
            .env("XDG_DATA_HOME", home)
            .env("XDG_CONFIG_HOME", home)
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(&config),
        port,
    )?;
    check_server("Caddy", "serves files and listings", &server, |number| {
        let path = ["/", "/Caddyfile", "/missing"][number % 3];
        request(port, path, None).map(|_| ())
    })
}

#[test]
#[ignore = "of `cargo xtask test --full`, which looks for the program"]
fn etcd_stores_keys() -> Result<()> {
    let Some(program) = wanted("etcd", &debian("etcd"))? else {
        return Ok(());
    };
    let directory = tempfile::tempdir()?;
    let (port, peers) = (free_port()?, free_port()?);
    let (clients, peers) = (
        format!("http://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{peers}"),
    );
    let server = Server::start(
        Command::new(program)
            .current_dir(&directory)
            .args(["--data-dir", "data", "--listen-client-urls", &clients])
            .args(["--advertise-client-urls", &clients])
            .args(["--listen-peer-urls", &peers])
            .args(["--initial-advertise-peer-urls", &peers])
            .arg(format!("--initial-cluster=default={peers}")),
        port,
    )?;
    check_server(
        "etcd",
        "stores and finds keys, tells metrics",
        &server,
        |number| {
            match number % 3 {
                0 => request(
                    port,
                    "/v3/kv/put",
                    Some(r#"{"key": "Zm9v", "value": "YmFy"}"#),
                ),
                1 => request(port, "/v3/kv/range", Some(r#"{"key": "Zm9v"}"#)),
                _ => request(port, "/metrics", None),
            }
            .map(|_| ())
        },
    )
}

#[test]
#[ignore = "of `cargo xtask test --full`, which looks for the program"]
fn terraform_plans_resources() -> Result<()> {
    let on_path = ["/usr/local/bin/terraform", "/usr/bin/terraform"].map(PathBuf::from);
    let Some(program) = wanted("terraform", &on_path)? else {
        return Ok(());
    };
    let directory = tempfile::tempdir()?;
    fs::write(
        directory.path().join("main.tf"),
        "locals {\n  all = { for n in range(60) : \"key-${n}\" => { n = n, text = upper(\"v${n}\") } }\n}\n\
         resource \"terraform_data\" \"each\" {\n  for_each = local.all\n  input    = each.value\n}\n\
         output \"all\" {\n  value = [for r in terraform_data.each : r.output]\n}\n",
    )?;
    let chdir = format!("-chdir={}", text(directory.path())?);
    let ready = Command::new(&program)
        .args([&chdir, "init", "-input=false"])
        .output()?;
    ensure!(
        ready.status.success(),
        "{}",
        String::from_utf8_lossy(&ready.stderr)
    );
    check_command(
        "Terraform",
        "plans 60 resources",
        &[text(&program)?, &chdir, "plan", "-input=false"],
    )
}

/// Modules of TypeScript that import each other.
fn typescript_project() -> Result<tempfile::TempDir> {
    let directory = tempfile::tempdir()?;
    for number in 0..60_usize {
        let mut module = String::new();
        let imported = number.saturating_sub(4)..number;
        for other in imported.clone() {
            writeln!(module, "import {{ f{other} }} from './m{other}.js';")?;
        }
        for part in 0..10 {
            writeln!(
                module,
                "export function g{part}(a: number, b: string): number {{ const table: Record<string, number> = \
                 {{ alpha: {part}, beta: a, gamma: b.length }}; let s = 0; for (const key in table) {{ s += table[key]; }} return s; }}"
            )?;
        }
        let calls: Vec<_> = imported.map(|other| format!("f{other}(a) + ")).collect();
        writeln!(
            module,
            "export class C{number} {{ private value: number = {number}; get(): number {{ return this.value; }} }}\n\
             export function f{number}(a: number): number {{ return {}new C{number}().get(); }}",
            calls.concat()
        )?;
        fs::write(directory.path().join(format!("m{number}.ts")), module)?;
    }
    fs::write(
        directory.path().join("tsconfig.json"),
        r#"{"compilerOptions": {"target": "es2022", "module": "esnext", "moduleResolution": "bundler", "types": []}}"#,
    )?;
    Ok(directory)
}

#[test]
#[ignore = "of `cargo xtask test --full`, which looks for the program"]
fn typescript_compiles_a_project() -> Result<()> {
    let candidates = npm("npm", "@typescript/typescript-linux-x64/lib/tsc");
    let Some(program) = wanted("typescript@7", &candidates)? else {
        return Ok(());
    };
    let project = typescript_project()?;
    let project = text(project.path())?;
    let output = format!("{project}/out");
    check_command(
        "TypeScript 7",
        "compiles 60 modules",
        &[text(&program)?, "-p", project, "--outDir", &output],
    )
}

/// esbuild as npm has it, of a version built with a Go that we may have no toolchain of.
fn esbuild(version: &str, package: &str) -> Result<()> {
    let candidates = npm(
        &format!("esbuild/{version}"),
        &format!("{package}/bin/esbuild"),
    );
    let Some(program) = wanted(&format!("esbuild {version}"), &candidates)? else {
        return Ok(());
    };
    let project = typescript_project()?;
    let entry = project.path().join("m59.ts");
    check_command(
        &format!("esbuild {version}"),
        "bundles 60 modules",
        &[
            text(&program)?,
            "--bundle",
            "--minify",
            "--sourcemap",
            text(&entry)?,
            &format!("--outdir={}/out", text(project.path())?),
        ],
    )
}

macro_rules! esbuild_bundles_modules {
    ($($name:ident: $version:expr, $package:expr;)*) => {$(
        #[test]
        #[ignore = "of `cargo xtask test --full`, which looks for the program"]
        fn $name() -> Result<()> {
            esbuild($version, $package)
        }
    )*};
}

esbuild_bundles_modules! {
    esbuild_of_go_1_18_bundles_modules: "0.14.38", "esbuild-linux-64";
    esbuild_of_go_1_19_bundles_modules: "0.16.17", "@esbuild/linux-x64";
    esbuild_of_go_1_20_bundles_modules: "0.21.5", "@esbuild/linux-x64";
    esbuild_of_go_1_23_bundles_modules: "0.24.2", "@esbuild/linux-x64";
}

/// Go's own compiler, of a toolchain's root. Since Go 1.21 it is built by its own profile.
fn go_compiler(version: &str, root: &Path) -> Result<()> {
    let program = root.join("pkg/tool/linux_amd64/compile");
    let Some(program) = wanted(&format!("Go {version}"), &[program])? else {
        return Ok(());
    };
    let directory = tempfile::tempdir()?;
    let source = directory.path().join("p.go");
    let mut code = "package p\n".to_owned();
    for number in 0..80 {
        writeln!(
            code,
            "type T{number} struct {{ a int; b string; m map[string]int }}\n\
             func (t *T{number}) F(x int, s string) (int, string) {{\n\tv := x + {number}\n\
             \tfor k, e := range t.m {{\n\t\tif len(k) > v {{ v += e }} else {{ v -= {number} }}\n\t}}\n\
             \tswitch v {{\n\tcase 1: s += \"a\"\n\tcase 2: s += \"b\"\n\t}}\n\tt.m[s] = v\n\treturn v, s\n}}"
        )?;
    }
    fs::write(&source, code)?;
    check_command(
        &format!("Go {version}'s compiler"),
        "compiles 80 types and methods",
        &[
            text(&program)?,
            "-p",
            "p",
            "-o",
            "/dev/null",
            text(&source)?,
        ],
    )
}

macro_rules! compiler_compiles {
    ($($name:ident: $version:expr;)*) => {$(
        #[test]
        #[ignore = "of `cargo xtask test --full`, which fetches the toolchain"]
        fn $name() -> Result<()> {
            go_compiler($version, &build_dir().join("go").join($version).join("go"))
        }
    )*};
}

compiler_compiles! {
    compiler_of_go_1_21_compiles: "1.21.13";
    compiler_of_go_1_22_compiles: "1.22.10";
    compiler_of_go_1_23_compiles: "1.23.9";
    compiler_of_go_1_24_compiles: "1.24.11";
    compiler_of_go_1_25_compiles: "1.25.5";
    compiler_of_go_1_26_compiles: "1.26.6";
    compiler_of_go_1_27_compiles: "1.27.3";
}

#[test]
#[ignore = "of `cargo xtask test --full`, which looks for the toolchain"]
fn compiler_of_go_1_19_compiles() -> Result<()> {
    go_compiler("1.19.8", Path::new("/usr/lib/go-1.19"))
}

/// The program's file, if it is here and tests on real processes are wanted.
fn wanted(name: &str, candidates: &[PathBuf]) -> Result<Option<PathBuf>> {
    if !kernel::wanted()? {
        return Ok(None);
    }
    find(name, candidates)
}
