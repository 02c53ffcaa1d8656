/** @nestjs/microservices between two processes over its TCP transport and over NATS. */
import "reflect-metadata";
import { Controller, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import {
  type ClientOptions,
  type ClientProxy,
  ClientProxyFactory,
  EventPattern,
  MessagePattern,
  type MicroserviceOptions,
  Payload,
  Transport,
} from "@nestjs/microservices";
import { firstValueFrom } from "rxjs";
import type { Events } from "../harness/events.ts";
import { accept, type Order, type Receipt, type Remote } from "../harness/order.ts";

/** What the process that hears events does with them. */
let hear = (_order: Order): void => {};

class Orders {
  place(order: Order): Promise<Receipt> {
    return accept(order);
  }
  placed(order: Order): void {
    hear(order);
  }
}
const method = (name: "place" | "placed") => Object.getOwnPropertyDescriptor(Orders.prototype, name)!;
MessagePattern("place")(Orders.prototype, "place", method("place"));
EventPattern("placed")(Orders.prototype, "placed", method("placed"));
Payload()(Orders.prototype, "place", 0);
Payload()(Orders.prototype, "placed", 0);
Controller()(Orders);

class App {}
Module({ controllers: [Orders] })(App);

type Way = (port: number) => MicroserviceOptions & ClientOptions;

async function listen(options: MicroserviceOptions): Promise<void> {
  const app = await NestFactory.createMicroservice(App, { ...options, logger: false });
  await app.listen();
}

async function connected(options: ClientOptions): Promise<ClientProxy> {
  const client = ClientProxyFactory.create(options);
  await client.connect();
  return client;
}

function remote(over: Way): Remote {
  return {
    serve: (port) => listen(over(port)),
    connect: async (port) => {
      const client = await connected(over(port));
      return (order) => firstValueFrom(client.send<Receipt>("place", order));
    },
  };
}

const overNats: Way = (port) => ({
  transport: Transport.NATS,
  options: { servers: [`nats://127.0.0.1:${port}`] },
});

export const tcp: Remote = remote((port) => ({
  transport: Transport.TCP,
  options: { host: "127.0.0.1", port },
}));

export const nats: Remote = remote(overNats);

export const natsEvents: Events = {
  hear: (port, heard) => {
    hear = heard;
    return listen(overNats(port));
  },
  connect: async (port) => {
    const client = await connected(overNats(port));
    return (orders) => {
      for (const order of orders) client.emit("placed", order);
    };
  },
};
