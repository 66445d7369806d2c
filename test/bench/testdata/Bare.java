public class Bare {
  public static void main(String[] args) {
    System.out.print("x");
    System.out.flush();
  }
}
