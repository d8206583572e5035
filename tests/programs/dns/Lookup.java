// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

import java.net.InetAddress;
import java.net.UnknownHostException;

/** Looks names up by Java's resolver, which asks the C library's. */
public final class Lookup {
  public static void main(String[] names) {
    for (String name : names) {
      try {
        System.out.println(name + " " + InetAddress.getAllByName(name).length);
      } catch (UnknownHostException error) {
        System.out.println(name + " unknown");
      }
    }
  }
}
