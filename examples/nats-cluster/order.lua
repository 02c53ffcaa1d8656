-- wrk -t 2 -c 64 -d 10s --latency -s examples/nats-cluster/order.lua http://127.0.0.1:5001/orders
wrk.method = "POST"
wrk.body = '{"productId": "product-123", "quantity": 1}'
wrk.headers["Content-Type"] = "application/json"
