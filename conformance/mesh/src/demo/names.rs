//! Names: `curl`, `getent` and `dig` on every server, and on a machine that is in no mesh.

use anyhow::{Result, ensure};

use super::stage::Stage;

/// Bare names, by the host's own resolver.
pub fn bare_names(stage: &mut Stage) -> Result<String> {
    let postgres = stage.servers[3].mesh_address()?;
    for server in &stage.servers {
        let name = server.machine.name();
        let text = server
            .machine
            .run("curl", &["-fsS", "-m", "5", "http://api/"])?
            .success(&format!("{name}: curl http://api"))?;
        ensure!(text.starts_with('s'), "{name}: http://api answered {text:?}");
        let text =
            server.machine.run("getent", &["hosts", "postgres"])?.success(&format!("{name}: getent hosts postgres"))?;
        ensure!(text.starts_with(&postgres), "{name}: postgres is {text:?}, not {postgres}");
        let outside = server.machine.run("getent", &["hosts", "outside.corp.test"])?;
        ensure!(
            outside.stdout.contains("192.0.2.80"),
            "{name}: names of the upstream server are lost: {}",
            outside.all()
        );
    }
    Ok(format!("curl http://api, getent hosts postgres = {postgres} on all; the upstream's names still answer"))
}

/// Record types, asked of this server's own DNS server.
pub fn dig(stage: &mut Stage) -> Result<String> {
    let server = &stage.servers[0];
    let own = server.mesh_address()?;
    let at = format!("@{own}");
    let dig = |arguments: &[&str]| -> Result<String> {
        let mut all = vec![at.as_str(), "+time=3", "+tries=2"];
        all.extend(arguments);
        server.machine.run("dig", &all)?.success("dig")
    };
    let a = dig(&["+short", "api.mesh.internal", "A"])?;
    ensure!(a.trim() == own, "api is this server's own Traefik, {own}; dig says {a:?}");
    let aaaa = dig(&["api.mesh.internal", "AAAA"])?;
    ensure!(
        aaaa.contains("NOERROR") && aaaa.contains("ANSWER: 0") && aaaa.contains("SOA"),
        "AAAA is no NODATA: {aaaa}"
    );
    let srv = dig(&["+short", "_postgres._tcp.mesh.internal", "SRV"])?;
    ensure!(srv.contains("5432 s4.mesh.internal."), "SRV: {srv:?}");
    let ptr = dig(&["+short", "-x", &stage.servers[3].mesh_address()?])?;
    ensure!(ptr.trim() == "s4.mesh.internal.", "PTR: {ptr:?}");
    let none = dig(&["nobody.mesh.internal", "A"])?;
    ensure!(none.contains("NXDOMAIN"), "a name that nobody has: {none}");
    Ok(format!("A {}, AAAA NODATA with SOA, SRV {}, PTR {}, else NXDOMAIN", a.trim(), srv.trim(), ptr.trim()))
}

/// A machine of the underlay learns nothing.
pub fn outside(stage: &mut Stage) -> Result<String> {
    for name in ["api", "postgres", "s1"] {
        let output = stage.outsider.run("getent", &["hosts", name])?;
        ensure!(!output.status.success(), "{name} answers outside the mesh: {}", output.all());
    }
    let address = stage.servers[0].machine.address().to_string();
    let asked = stage.outsider.run("dig", &[&format!("@{address}"), "+time=1", "+tries=1", "api.mesh.internal"])?;
    ensure!(!asked.status.success(), "a server answers DNS on the underlay: {}", asked.all());
    Ok("getent finds neither api, postgres nor s1; no DNS on the underlay".to_owned())
}
