/** @nestjs/microservices between two processes over its TCP transport. */
import "reflect-metadata";
import { Controller, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { ClientProxyFactory, MessagePattern, Payload, Transport } from "@nestjs/microservices";
import { firstValueFrom } from "rxjs";
import { accept, type AskFor, type Order, type Receipt } from "../harness/order.ts";

class Orders {
  place(order: Order): Promise<Receipt> {
    return accept(order);
  }
}
MessagePattern("place")(
  Orders.prototype,
  "place",
  Object.getOwnPropertyDescriptor(Orders.prototype, "place")!,
);
Payload()(Orders.prototype, "place", 0);
Controller()(Orders);

class App {}
Module({ controllers: [Orders] })(App);

const tcp = (port: number) => ({ transport: Transport.TCP as const, options: { host: "127.0.0.1", port } });

export async function serve(port: number): Promise<void> {
  const app = await NestFactory.createMicroservice(App, { ...tcp(port), logger: false });
  await app.listen();
}

export async function connect(port: number): Promise<AskFor> {
  const client = ClientProxyFactory.create(tcp(port));
  await client.connect();
  return (order) => firstValueFrom(client.send<Receipt>("place", order));
}
