// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What happens, step by step.

use protocol::tenants::devices::{NewTenantDevice, TenantDevice};
use protocol::tenants::organisations::{NewOrganisation, Organisation};
use protocol::{OrganisationId, TenantId};

use super::DemoError;
use super::person::Person;
use super::stage::Stage;
use super::telling::Telling;
use super::thief::{Stolen, search};

/// Who is there, and what they have.
struct Cast {
    ada: Person,
    bea: Person,
    cleo: Person,
    gil: Person,
    acme: TenantId,
    meter: TenantDevice,
}

/// Tells it all.
pub(super) async fn tell(stage: &mut Stage, telling: &mut Telling) -> Result<(), DemoError> {
    telling.step(
        "A server and two customers",
        "A server with nothing configured: SQLite, in a folder of its own, on this machine only.\n\
         At Acme, Ada founds a tenant, Bea runs the north, and Cleo looks at it. At Globex it is Gil.",
    );
    stage.start()?;
    let cast = cast(stage).await?;
    tenants(stage, telling, &cast)?;
    secrets(stage, telling, &cast).await?;
    isolation(stage, telling, &cast)?;
    refusal(stage, telling, &cast)?;
    policy(stage, telling, &cast)?;
    tampering(stage, telling, &cast)
}

/// The people, the tenants and what is in them, through the SDK.
async fn cast(stage: &Stage) -> Result<Cast, DemoError> {
    let (ada, bea) = tokio::try_join!(Person::new(stage, "ada"), Person::new(stage, "bea"))?;
    let (cleo, gil) = tokio::try_join!(Person::new(stage, "cleo"), Person::new(stage, "gil"))?;
    let acme = ada.founds("Acme", "Ada").await?.id;
    let north = organisation(&ada, acme, "North", None).await?;
    let town = organisation(&ada, acme, "Town", Some(north.id)).await?;
    organisation(&ada, acme, "South", None).await?;
    let meter = device(&ada, acme, "0004A30B001C0530", "the town's meter", town.id).await?;
    ada.lets_in(acme, &bea, "Bea", "manager", north.id).await?;
    ada.lets_in(acme, &cleo, "Cleo", "viewer", north.id).await?;
    let globex = gil.founds("Globex", "Gil").await?.id;
    device(&gil, globex, "70B3D57ED0000001", "the pump", OrganisationId::from_uuid(globex.uuid())).await?;
    Ok(Cast { ada, bea, cleo, gil, acme, meter })
}

async fn organisation(
    who: &Person,
    tenant: TenantId,
    name: &str,
    parent: Option<OrganisationId>,
) -> Result<Organisation, DemoError> {
    let new = NewOrganisation { name: name.to_owned(), parent };
    Ok(who.account.client.create_organisation(tenant, &new).await?)
}

async fn device(
    who: &Person,
    tenant: TenantId,
    own_id: &str,
    name: &str,
    organisation: OrganisationId,
) -> Result<TenantDevice, DemoError> {
    let new = NewTenantDevice { external_id: own_id.to_owned(), name: name.to_owned(), organisation };
    Ok(who.account.client.register_tenant_device(tenant, &new).await?)
}

fn tenants(stage: &Stage, telling: &mut Telling, cast: &Cast) -> Result<(), DemoError> {
    let words = ["tenant", "members", "list"];
    cast.ada.types(stage, telling, &words)?.has_to_be(0, &["Ada", "Bea", "Cleo"], "Acme's members")?;
    let words = ["tenant", "organisations", "list"];
    cast.ada.types(stage, telling, &words)?.has_to_be(0, &["North", "Town", "South"], "its organisations")?;
    let words = ["tenant", "devices", "list"];
    let listed = cast.gil.types(stage, telling, &words)?.has_to_be(0, &["the pump"], "Globex's devices")?;
    match listed.stdout.contains("meter") {
        true => Err(DemoError::Wrong("Globex sees a device of Acme's".to_owned())),
        false => Ok(()),
    }
}

async fn secrets(stage: &Stage, telling: &mut Telling, cast: &Cast) -> Result<(), DemoError> {
    telling.step(
        "What is kept is sealed",
        "Ada and Gil each keep a file. It is sealed on their machines; the server never sees what is in it.",
    );
    cast.ada.keeps("plan.txt", PLAN).await?;
    cast.gil.keeps("prices.txt", "Globex sells at cost until Acme gives up.\n").await?;
    cast.ada.types(stage, telling, &["get", "plan.txt", "-"])?.has_to_be(0, &[PLAN.trim()], "Ada's file")?;
    let (searched, found) = search(&stage.data(), PLAN.trim().as_bytes())?;
    if let Some(path) = found.first() {
        return Err(DemoError::Wrong(format!("Ada's plan stands in {}", path.display())));
    }
    telling.say(&format!(
        "\nSearched all {searched} files of the server for Ada's words, as a thief with its disk would: they are in none."
    ));
    Ok(())
}

fn isolation(stage: &Stage, telling: &mut Telling, cast: &Cast) -> Result<(), DemoError> {
    telling.step(
        "One customer's things are not there for another",
        "Gil has learnt the ids of Acme's tenant and of its meter. What is Acme's is answered like what never was.",
    );
    let (acme, meter) = (cast.acme.to_string(), cast.meter.id.to_string());
    let nothing = format!("dvc_{}", "0".repeat(32));
    let mut answers = Vec::new();
    for device in [meter.as_str(), nothing.as_str()] {
        let words = ["tenant", "devices", "show", device, "--tenant", &acme];
        let said = cast.gil.types(stage, telling, &words)?;
        answers.push(said.has_to_be(1, &["no such thing"], "what Gil gets of Acme")?.stderr);
    }
    if answers.first() != answers.last() {
        return Err(DemoError::Wrong("a thing of Acme's is answered otherwise than nothing".to_owned()));
    }
    Ok(())
}

fn refusal(stage: &Stage, telling: &mut Telling, cast: &Cast) -> Result<(), DemoError> {
    telling.step(
        "Every refusal can be explained",
        "Cleo is a viewer in the north. She tries to rename the meter, is refused, and asks why.\n\
         Ada, who owns the tenant, asks who may.",
    );
    let meter = cast.meter.external_id.as_str();
    let words = ["tenant", "devices", "rename", meter, "my own meter"];
    cast.cleo.types(stage, telling, &words)?.has_to_be(5, &["device.write"], "Cleo's try")?;
    let words = ["why", "--what", "device.write", "--on", meter];
    let expected = ["nothing allows it", "viewer"];
    cast.cleo.types(stage, telling, &words)?.has_to_be(0, &expected, "why she was refused")?;
    let words = ["why", "--who-can", "device.write", "--on", meter];
    cast.ada.types(stage, telling, &words)?.has_to_be(0, &["you: owner", "Bea"], "who may")?;
    let words = ["tenant", "devices", "rename", meter, "the meter at the well"];
    cast.bea.types(stage, telling, &words)?.has_to_be(0, &[], "Bea's try")?;
    Ok(())
}

fn policy(stage: &Stage, telling: &mut Telling, cast: &Cast) -> Result<(), DemoError> {
    telling.step(
        "A tenant's own policies, tried before they take effect",
        "Acme wants nobody who only looks to look at devices for now. Ada writes that down in Cedar's language:",
    );
    let file = stage.scratch("closed.cedar");
    std::fs::write(&file, CLOSED).map_err(|error| super::stage::failed(&file, error))?;
    telling.say(CLOSED);
    let file = file.display().to_string();
    let tried = cast.ada.types(stage, telling, &["tenant", "policies", "try", &file])?;
    tried.has_to_be(0, &["would be refused: device.read", "Cleo"], "the dry run")?;
    let words = ["tenant", "policies", "put", &file, "--note", "until the audit is over"];
    cast.ada.types(stage, telling, &words)?.has_to_be(0, &["Version 1"], "putting it")?;
    cast.cleo.types(stage, telling, &["tenant", "devices", "list"])?.has_to_be(
        5,
        &["device.read"],
        "Cleo",
    )?;
    let words = ["why", "--what", "device.read", "--on", "North"];
    let why = cast.cleo.types(stage, telling, &words)?;
    why.has_to_be(0, &["tenant/closed", "does not look at devices until"], "why Cleo is refused")?;
    let back = cast.ada.types(stage, telling, &["tenant", "policies", "rollback", "0"])?;
    back.has_to_be(0, &["brings back version 0"], "going back")?;
    let listed = cast.cleo.types(stage, telling, &["tenant", "devices", "list"])?;
    listed.has_to_be(0, &["the meter at the well"], "what Cleo sees again")?;
    Ok(())
}

fn tampering(stage: &mut Stage, telling: &mut Telling, cast: &Cast) -> Result<(), DemoError> {
    telling.step(
        "Nobody rewrites what happened",
        "Ada's machine checks the history of the tenant against what it saw of it before.",
    );
    let acme = cast.acme.to_string();
    let verify = ["verify", "--tenant", &acme];
    cast.ada.types(stage, telling, &verify)?.has_to_be(0, &[], "the history as it was written")?;

    stage.stop()?;
    let stolen = Stolen::take(&stage.data(), cast.acme, stage.scratch("untouched.db"))?;
    let statement = stolen.blame("device.write", cast.ada.account.account, cast.bea.account.account)?;
    telling.say(&format!(
        "\nThe server is stopped. Whoever runs it opens {}\nand makes it say that Ada renamed the meter, not Bea:\n\n  {statement}\n\nThe server starts again, and nothing seems to be wrong.",
        stolen.file().display()
    ));
    stage.start()?;
    cast.ada.types(stage, telling, &verify)?.has_to_be(3, &["record"], "the history, rewritten")?;

    stage.stop()?;
    stolen.put_back()?;
    stage.start()?;
    telling.say("\nThe file is put back as it was.");
    cast.ada.types(stage, telling, &verify)?.has_to_be(0, &[], "the history, put back")?;
    Ok(())
}

const PLAN: &str = "Acme buys Globex on the first of May.\n";

const CLOSED: &str = r#"@id("closed")
@says("Who only looks does not look at devices until the audit is over.")
forbid (principal is Member, action == Action::"device.read", resource)
when { principal.hasTag("viewer") };
"#;
