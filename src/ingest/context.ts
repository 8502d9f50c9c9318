// A resource or a scope being put together: its JSON text, made once however many records share it,
// and what it adds to the `otel` and `cut` of each of them.

import {
  ATTRIBUTE_BYTES_MAX,
  ATTRIBUTE_KEY_BYTES_MAX,
  ATTRIBUTES_MAX,
  RESOURCE_BYTES_MAX,
} from '../limits.ts'
import { bytesOver, cutText, hashedKey, utf8Bytes } from './cut.ts'
import { LongKeys } from './keys.ts'
import { cutValue, jsonOf, objectText, type Value, valueBytes } from './value.ts'

export class Context {
  /** JSON text of an object. */
  text = '{}'
  /** The members it adds to `otel`: JSON, each with a comma behind it. */
  otel = ''
  isCut = false
  /** UTF-8 bytes of all its attributes as sent. */
  sentBytes = 0
  droppedAttributes = 0
  schemaUrl = ''
  /** The same of a scope. */
  name = ''
  version = ''
  readonly #attributes = new Map<string, string>()
  readonly #longKeys = new LongKeys()
  #bytes = 0

  /** Adds an attribute; of two with one name the last stays. The value may be cut in place. */
  add(sentName: string, value: Value): void {
    const keyOver = bytesOver(sentName, ATTRIBUTE_KEY_BYTES_MAX)
    const name = keyOver > 0 ? this.#longName(sentName) : sentName
    this.sentBytes += (keyOver > 0 ? keyOver : utf8Bytes(name)) + valueBytes(value)
    // Of what finds no room, no text is made: there may be ten million of them.
    const isFull =
      this.#attributes.size >= ATTRIBUTES_MAX || this.#bytes + name.length + 4 >= RESOURCE_BYTES_MAX
    if (isFull) {
      this.isCut = true
      return
    }
    if (cutValue(value) > 0 || keyOver > 0) this.isCut = true
    const text = jsonOf(value)
    const bytes = name.length + utf8Bytes(text) + 4
    if (this.#bytes + bytes > RESOURCE_BYTES_MAX) {
      this.isCut = true
      return
    }
    this.#bytes += bytes
    this.#attributes.set(name, text)
  }

  #longName(sentName: string): string {
    const start = cutText(sentName, ATTRIBUTE_KEY_BYTES_MAX)
    return this.#longKeys.nameOf(start, hashedKey(sentName), this.#attributes.has(start))
  }

  /** Whether it is as made, and can serve the next resource. */
  get isEmpty(): boolean {
    return (
      this.sentBytes === 0 &&
      this.#attributes.size === 0 &&
      this.text === '{}' &&
      this.otel === '' &&
      !this.isCut
    )
  }

  /** To be called once, when everything is in and a record needs it. The same for a scope below. */
  endResource(): void {
    const { droppedAttributes, schemaUrl } = this
    this.text = objectText(this.#attributes)
    this.otel =
      (droppedAttributes > 0 ? `"resource_dropped_attributes_count":${droppedAttributes},` : '') +
      (schemaUrl === '' ? '' : `"resource_schema_url":${this.#json(schemaUrl)},`)
  }

  endScope(): void {
    const { name, version, droppedAttributes, schemaUrl } = this
    const attributes = objectText(this.#attributes)
    const url = schemaUrl === '' ? '' : this.#json(schemaUrl)
    const members = [
      name === '' ? '' : `"name":${this.#json(name)}`,
      version === '' ? '' : `"version":${this.#json(version)}`,
      attributes === '{}' ? '' : `"attributes":${attributes}`,
      url === '' ? '' : `"schema_url":${url}`,
    ]
    this.text = `{${members.filter((member) => member !== '').join()}}`
    this.otel =
      (droppedAttributes > 0 ? `"scope_dropped_attributes_count":${droppedAttributes},` : '') +
      (url === '' ? '' : `"scope_schema_url":${url},`)
  }

  /** A name or URL as JSON, cut like an attribute. */
  #json(text: string): string {
    const over = bytesOver(text, ATTRIBUTE_BYTES_MAX)
    if (over === 0) return JSON.stringify(text)
    this.isCut = true
    this.sentBytes += over
    return JSON.stringify(cutText(text, ATTRIBUTE_BYTES_MAX))
  }
}
