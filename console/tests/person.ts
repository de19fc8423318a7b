// SPDX-License-Identifier: Apache-2.0 OR MIT
// Somebody who uses the console as people do: by what is written on it.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";

import { expect, type Page } from "@playwright/test";

import type { Watched } from "./fixtures";
import { App } from "./totp";

export class Person {
  readonly email: string;
  readonly password: string;
  app: App | undefined;
  number = "";
  backupCodes: string[] = [];
  recoveryKey = "";

  constructor(
    readonly page: Page,
    readonly watched: Watched,
    name = "ada",
  ) {
    const random = randomBytes(6).toString("hex");
    this.email = `${name}-${random}@example.org`;
    this.password = `lantern orbit ${random} thimble`;
    watched.secrets.push(this.password);
  }

  async open(hash = ""): Promise<void> {
    await this.page.goto(`${this.watched.server.url}/${hash}`);
  }

  /** Signs up with a password; `look` sees each step. */
  async signUp(options: { recoveryKey?: boolean; look?: (step: string) => Promise<void> } = {}): Promise<void> {
    const { page } = this;
    const look = options.look ?? (async () => undefined);
    await this.open("#/sign-up");
    await page.getByLabel("Email address").fill(this.email);
    await page.getByLabel("Password", { exact: true }).fill(this.password);
    await page.getByLabel("The password again").fill(this.password);
    await look("sign-up");
    await page.getByRole("button", { name: "Sign up", exact: true }).click();

    await expect(page.getByRole("heading", { name: "Set up your authenticator app" })).toBeVisible({ timeout: 60_000 });
    await page.getByText("Type it in by hand instead").click();
    const secret = (await page.locator("details .mono").textContent()) ?? "";
    this.app = new App(secret);
    this.watched.secrets.push(secret);
    await look("sign-up-app");
    await page.getByRole("button", { name: "It shows codes now" }).click();

    await expect(page.locator("ul.lines li")).toHaveCount(10);
    this.backupCodes = await page.locator("ul.lines li").allTextContents();
    this.watched.secrets.push(...this.backupCodes);
    await look("sign-up-codes");
    await page.getByLabel("I have kept it somewhere safe").check();
    await page.getByRole("button", { name: "Continue" }).click();

    await look("sign-up-offer");
    if (options.recoveryKey) {
      await page.getByRole("button", { name: "Make a recovery key" }).click();
      await this.keepRecoveryKey(look);
      await page.getByRole("button", { name: "Enter" }).click();
    } else {
      await page.getByRole("button", { name: "Not now" }).click();
    }
    await this.arrived();
  }

  /** Keeps a recovery key that is shown: also as the file that it is saved as. */
  async keepRecoveryKey(look: (step: string) => Promise<void> = async () => undefined): Promise<void> {
    const { page } = this;
    await expect(page.getByText("Whoever has this key has your account.")).toBeVisible({ timeout: 60_000 });
    this.recoveryKey = (await page.locator("ul.lines li").first().textContent()) ?? "";
    this.watched.secrets.push(this.recoveryKey);
    const [saved] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Save as a file" }).click(),
    ]);
    expect(readFileSync(await saved.path(), "utf8")).toContain(this.recoveryKey);
    await look("sign-up-recovery-key");
    await page.getByLabel("I have kept it somewhere safe").check();
  }

  /** Signs in, or unlocks, with password and code. */
  async signIn(options: { backupCode?: string; look?: (step: string) => Promise<void> } = {}): Promise<void> {
    const { page } = this;
    await page.getByLabel("Email address").fill(this.email);
    await page.getByLabel("Password", { exact: true }).fill(this.password);
    await page.getByRole("button", { name: "Continue" }).click();
    await expect(page.getByText(`Signing in as ${this.email}`)).toBeVisible({ timeout: 60_000 });
    await options.look?.("sign-in-code");
    if (options.backupCode) {
      await page.getByRole("button", { name: "Use a backup code instead" }).click();
      await page.getByLabel("Backup code").fill(options.backupCode);
    } else {
      await page.getByLabel("Code of your authenticator app").fill(await this.code());
    }
    await page.getByRole("button", { name: /^(Sign in|Unlock)$/ }).click();
  }

  /** Gives a fresh proof, which the page asks for. */
  async stepUp(): Promise<void> {
    const dialog = this.page.getByRole("dialog", { name: "Is it you?" });
    await dialog.getByLabel("Password", { exact: true }).fill(this.password);
    await dialog.getByLabel("Code of your authenticator app").fill(await this.code());
    await dialog.getByRole("button", { name: "Confirm" }).click();
    await expect(dialog).toBeHidden({ timeout: 60_000 });
  }

  async code(): Promise<string> {
    if (!this.app) throw new Error("no app was set up");
    return this.app.next();
  }

  /** Is on the overview. */
  async arrived(): Promise<void> {
    const number = this.page.locator("dd.number");
    await expect(number).toBeVisible({ timeout: 60_000 });
    this.number = (await number.textContent()) ?? "";
  }

  /** Looks into the list of sessions. */
  async hasSessions(number: number): Promise<void> {
    await this.goTo("Security");
    const sessions = this.page.getByRole("region", { name: "Sessions" }).getByRole("listitem");
    await expect(sessions.first()).toBeVisible();
    await expect(sessions).toHaveCount(number);
  }

  /** Founds a tenant, and is on its page. Its id. */
  async found(name: string): Promise<string> {
    const { page } = this;
    await this.goTo("Tenants");
    await page.getByRole("button", { name: "Found a tenant" }).first().click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name", { exact: true }).fill(name);
    await dialog.getByLabel("Your name there").fill("Ada");
    await dialog.getByRole("button", { name: "Found a tenant" }).click();
    await expect(page.getByRole("heading", { name })).toBeVisible({ timeout: 30_000 });
    return new URL(page.url()).hash.split("/")[2] ?? "";
  }

  /** A part of the tenant whose page is open. */
  async part(name: string): Promise<void> {
    await this.page.getByRole("navigation", { name: "Parts of the tenant" }).getByRole("link", { name, exact: true }).click();
  }

  /** Invites somebody into the tenant whose page is open, with a role if one is named; the link. */
  async invites(role?: string): Promise<string> {
    const { page } = this;
    await this.part("Invitations");
    await page.getByRole("button", { name: "Invite somebody" }).click();
    const dialog = page.getByRole("dialog");
    if (role) await dialog.getByLabel("Role").selectOption(role);
    await dialog.getByRole("button", { name: "Invite somebody" }).click();
    return this.keep("The link of the invitation");
  }

  /** Joins a tenant by the link of an invitation, within the page. */
  async joins(link: string, label: string): Promise<void> {
    const { page } = this;
    await page.evaluate((hash) => (location.hash = hash), new URL(link).hash);
    await page.getByLabel("Your name there").fill(label);
    await page.getByRole("button", { name: "Join" }).click();
    await expect(page.getByText(/^You joined /)).toBeVisible();
    await page.getByRole("button", { name: "Look at it" }).click();
  }

  /** Keeps what is shown once, in a dialog. */
  async keep(title: string): Promise<string> {
    const dialog = this.page.getByRole("dialog", { name: title });
    const shown = (await dialog.locator("ul.lines li").first().textContent()) ?? "";
    this.watched.secrets.push(shown);
    await dialog.getByLabel("I have kept it somewhere safe").check();
    await dialog.getByRole("button", { name: "Done" }).click();
    return shown;
  }

  async goTo(page: "Overview" | "Data" | "History" | "Security" | "Tenants" | "Platform"): Promise<void> {
    const link = this.page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: page });
    await link.click();
    // Where somebody goes next, they go from there.
    await expect(link).toHaveAttribute("aria-current", "page");
  }
}
